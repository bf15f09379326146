"""CrossNet-Open-Unmix (X-UMX)."""
