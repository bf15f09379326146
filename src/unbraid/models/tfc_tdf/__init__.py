"""TFC-TDF v3, the network of MDX23C and DrumSep. arXiv:2306.09382."""
