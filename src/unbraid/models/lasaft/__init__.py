"""LaSAFT with GPoCM."""
