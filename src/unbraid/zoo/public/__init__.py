"""Readers of weights that others published: data only, nothing in a file is executed."""
