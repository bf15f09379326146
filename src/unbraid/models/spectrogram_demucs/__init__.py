"""Hybrid Demucs without its time branch: a U-Net on the spectrogram alone."""
