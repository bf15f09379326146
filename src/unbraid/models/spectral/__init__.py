"""What the models with a U-Net on spectrograms share."""
