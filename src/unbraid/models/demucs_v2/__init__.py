"""Demucs v1 and v2, the waveform U-Net before Hybrid Demucs."""
