"""The model that runs when no other is named."""

DEFAULT_MODEL = "quartet"
