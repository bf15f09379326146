"""Demucs, version 3: a U-Net on the waveform alone."""
