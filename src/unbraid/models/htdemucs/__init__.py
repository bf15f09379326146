"""Hybrid Transformer Demucs (HT Demucs), arXiv:2211.08553."""
