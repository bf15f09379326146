"""Dual-path RNN."""
