"""Hybrid Demucs: a U-Net on the waveform and one on the spectrogram, with a shared core."""
