"""A page about an evaluation, or about stems."""
