"""Open-Unmix."""
