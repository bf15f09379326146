"""Band-split transformers: BS-RoFormer (arXiv:2309.02612), Mel-Band RoFormer (arXiv:2310.01809)."""
