"""What runs a `StoredModel`: one folder each, asked in turn by `choose.py`."""
