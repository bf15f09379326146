"""The WaveNet of Lluís et al."""
