"""SCNet: sparse compression of a spectrogram's bands. arXiv:2401.13276."""
