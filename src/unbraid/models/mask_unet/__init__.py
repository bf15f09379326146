"""U-Nets that mask a spectrogram, one for each stem: Jansson et al. 2017, and Spleeter."""
