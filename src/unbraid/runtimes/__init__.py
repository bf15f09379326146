"""The old name of `unbraid.engines`, for what was documented under it."""
