"""A small U-Net over frequency bands that shares a spectrogram out among stems by masks."""
