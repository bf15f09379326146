"""KUIELAB-MDX-Net."""
