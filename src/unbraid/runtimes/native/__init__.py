"""Hybrid Demucs on the CPU by kernels of our own, without torch: see `hybrid.py`."""

from unbraid.runtimes.native.hybrid import NativeHybridDemucs, fits, memory_bytes
from unbraid.runtimes.native.library import find

__all__ = ["NativeHybridDemucs", "find", "fits", "memory_bytes"]
