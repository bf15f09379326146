"""The runs behind published figures: programs to start with `python -m` from the repository."""
