"""D3Net."""
