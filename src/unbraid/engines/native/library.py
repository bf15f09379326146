"""The compiled kernels: found, loaded, and called with arrays. Their source is in `kernels/`."""

from __future__ import annotations

import ctypes
import functools
import math
import platform
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_long, c_void_p
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from unbraid.engines.native.build import FLAVOURS, fingerprint, library_path

_LINE = 64
"""Bytes of a cache line, and of the longest vector."""

# Instruction sets that a kind of processor must have.
_NEEDED = {"v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"}, "v3": {"avx2", "fma"}}


class Branch(Structure):
    """`Branch` of residual.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("squeeze", "squeeze_bias", "norm_weight", "norm_bias")),
        *((name, c_void_p) for name in ("expand", "expand_bias", "gain", "offset", "covering")),
        *((name, c_int) for name in ("width", "hidden", "stride", "dilation", "gate_panels")),
        ("squeeze_bytes", c_int),
        *((name, c_float) for name in ("squeeze_eps", "expand_eps")),
    ]


class SpectralEncoder(Structure):
    """`SpectralEncoder` of spectral.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("conv", "conv_bias", "branches", "gate", "gate_bias")),
        ("embedding", c_void_p),
        *((name, c_int) for name in ("outer", "width", "kernel", "stride", "padding")),
        *((name, c_int) for name in ("branch_count", "gate_panels", "in_pairs")),
    ]


class Expansion(Structure):
    """`Expansion` of spectral.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("packed", "bias")),
        *((name, c_int) for name in ("width", "outer", "stride", "padding", "adding")),
    ]


class Winograd(Structure):
    """`Winograd` of winograd.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("packed", "bias", "products", "undo", "sizes", "taps")),
        *((name, c_int) for name in ("ins", "width", "gate_panels", "gated", "bytes")),
    ]


class Image(Structure):
    """`Image` of tiles.hpp."""

    _fields_ = [("at", c_void_p), *((n, c_long) for n in ("row", "pixel", "rows", "columns"))]


class Filters(Structure):
    """`Filters` of filters.hpp."""

    _fields_ = [
        ("mixed", c_void_p),
        ("quarters", c_void_p * 4),
        *((name, c_void_p) for name in ("bias", "scale", "shift")),
        *((name, c_int) for name in ("ins", "outs", "bytes")),
    ]


class Wiener(Structure):
    """`Wiener` of masks.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("spectrum", "shares", "found")),
        *((name, c_long) for name in ("spectrum_channel", "spectrum_frame")),
        *((name, c_long) for name in ("share_stem", "share_channel", "share_frame")),
        *((name, c_long) for name in ("frames", "bins")),
        *((name, c_int) for name in ("stems", "stem")),
        ("scale", c_float),
    ]


class GruDirection(Structure):
    """`GruDirection` of recurrent.hpp."""

    _fields_ = [(name, c_void_p) for name in ("inputs", "packed", "bias", "out")]


class LstmDirection(Structure):
    """`LstmDirection` of recurrent.hpp."""

    _fields_ = [(name, c_void_p) for name in ("inputs", "packed", "out")]


class Module(Structure):
    """`Module` of bands.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("norm_weight", "norm_bias", "squeeze", "squeeze_bias")),
        *((name, c_void_p) for name in ("depthwise", "depthwise_bias", "inner_weight")),
        *((name, c_void_p) for name in ("inner_bias", "expand", "expand_bias")),
        *((name, c_int) for name in ("width", "hidden", "stride", "kernel")),
        ("eps", c_float),
    ]


class BandEncoder(Structure):
    """`BandEncoder` of bands.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("conv", "conv_bias", "modules")),
        *((name, c_int) for name in ("outer", "width", "kernel", "stride", "padding")),
        ("module_count", c_int),
    ]


class BandDecoder(Structure):
    """`BandDecoder` of bands.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("conv", "bias")),
        *((name, c_int) for name in ("width", "outer", "stride", "taps", "cut", "adding")),
    ]


class Sequences(Structure):
    """`Sequences` of sequences.hpp."""

    _fields_ = [
        *((name, c_void_p * 2) for name in ("packed", "bias", "products")),
        ("scale", c_float * 2),
        *((name, c_void_p) for name in ("gain", "shift", "entry", "out")),
        *((name, c_long) for name in ("steps", "sequences", "in_step", "in_sequence")),
        *((name, c_long) for name in ("out_step", "out_sequence")),
        ("units", c_int),
    ]


class LstmShape(Structure):
    """`LstmShape` of recurrent.hpp."""

    _fields_ = [
        (name, c_long)
        for name in ("steps", "sequences", "units", "input_step", "input_sequence", "out_width")
    ]


_P, _L, _I, _F = c_void_p, c_long, c_int, c_float
_SIGNATURES = {
    "pack": [_P, _I, _P, _L, _I, _L, _L, _L, _L, _P, _I, _I],
    "pack_mixed": [_P, _I, _P, _L, _L, _L, _L, _L, _P, _L, _P, _I],
    "scale_mixed": [_P, _L, _L, _L, _P, _P, _P, _I],
    "product": [POINTER(_P), _I, _I, _L, _L, _P, _I, _P, _I, _I, _P, _L, _I, _I],
    "filter_hops": [_P, _I, _L, _P, _P, _I, _I, _P, _L, _I, _I],
    "group_norm": [_P, _L, _L, _L, _L, _I, _P, _P, _F, _I, _P, _L, _I],
    "moments": [_P, _L, _L, _L, _L, POINTER(c_double), _I],
    "scale": [_P, _L, _L, _L, _L, _F, _F, _I],
    "add": [_P, _P, _L, _I],
    "squeeze": [POINTER(Branch), _P, _L, _P, _I],
    "expand": [POINTER(Branch), _P, _L, _P, _I],
    "encode_rows": [POINTER(SpectralEncoder), _P, _L, _L, _P, _L, _L, _L, _L, _I],
    "convolve_rows": [POINTER(SpectralEncoder), _P, _L, _L, _P, _L, _L, _L, _I],
    "refine_rows": [POINTER(SpectralEncoder), _P, _L, _P, _L, _L, _L, _I],
    "refine_maps": [POINTER(Winograd), _P, _I, _P, _L, _P, _L, _L, _L, _I],
    "gate_steps": [POINTER(Winograd), _P, _P, _L, _I],
    "expand_rows": [POINTER(Expansion), _P, _L, _L, _P, _L, _L, _I],
    "lstm": [POINTER(LstmDirection), POINTER(LstmDirection), POINTER(LstmShape), _I],
    "encode_band": [POINTER(BandEncoder), _P, _L, _P, _L, _L, _I],
    "decode_band": [POINTER(BandDecoder), _P, _L, _P, _L, _L, _I],
    "to_fourier": [_P, _P, _L, _L, _L, _I],
    "from_fourier": [_P, _P, _L, _L, _L, _I],
    "sequences": [POINTER(Sequences), _I],
    "attend": [_P, _L, _L, _I, _I, _I, _P, _I],
    "branch_rows": [_P, _I, _P, _L, _L, _L, _I],
    "layer_norm": [_P, _L, _L, _P, _P, _F, _P, _P, _I],
    "multiply_tokens": [_P, _I],
    "rows_to_panels": [_P, _L, _I, _P, _I],
    "panels_to_rows": [_P, _L, _I, _P, _I],
    "norm_of_all": [_P, _L, _I, _P, _P, _F, _I],
    "project_tokens": [_P, _I],
    "attend_tokens": [_P, _I],
    "halve": [POINTER(Filters), *3 * [POINTER(Image)], _I],
    "halve_few": [POINTER(Filters), *3 * [POINTER(Image)], _I],
    "redouble": [POINTER(Filters), *2 * [POINTER(Image)], _I],
    "convolve": [POINTER(Filters), *2 * [POINTER(Image)], _I, _I],
    "redouble_to_one": [POINTER(Filters), *2 * [POINTER(Image)], _I],
    "share_out": [_P, _I, _L, _I, _F, _I],
    "filter_spectrum": [POINTER(Wiener), _I],
    "gru": [*2 * [POINTER(GruDirection)], _L, _L, _L, _I],
    "slice_sums": [_P, _I, _L, _I, _P, _P, _I],
    "attend_along_time": [_P, _I],
    "attend_along_bands": [_P, _I],
    "feed_tokens": [_P, _I],
    "embed_bands": [_P, _L, _P, _L, _L, _P, _I],
    "mask_bands": [_P, _L, _P, _L, _L, _P, _L, _I],
    "mask_spectrum": [_P, _P, _P, _L, _P, _I],
    "convolve_maps": [_P, _P, _P, _P, _I, _P, _I],
    "multiply_rows": [_P, _P, _I],
    "mix_features": [_P, _P, _P, _I],
    "shrink_map": [_P, _P, _P, _P, _P, _I],
    "grow_map": [_P, _P, _P, _P, _P, _I],
    "enter_map": [_P, _P, _P, _P, _I],
    "leave_map": [_P, _P, _P, _P, _I],
    "mask": [_P, _P, _I, _P, _L, _P, _L, _L, _P, _L, _L, _L, _L, _I],
    "stft": [_P, _I, _P, _I, _I, _L, _P, _L, _I],
    "inverse_stft": [_P, _L, _I, _P, _I, _I, _L, _L, _P, _F, _F, _P, _L, _I],
}


class Kernels:
    """A loaded library: its functions by name, how many floats its vectors hold, rows its slices of
    weights, and whether it multiplies these in pairs here (see lanes.hpp)."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        library.unbraid_sources.restype = ctypes.c_char_p
        if library.unbraid_sources().decode() != fingerprint():
            raise OSError("they were built from other sources; install unbraid again")
        self.lanes = int(library.unbraid_lanes())
        self.panel = 2 * self.lanes
        self.slice, self.pairs = int(library.unbraid_slice()), bool(library.unbraid_pairs())
        for name, types in _SIGNATURES.items():
            function = getattr(library, f"unbraid_{name}")
            function.argtypes, function.restype = types, None
            setattr(self, name, function)

    def __getattr__(self, name: str) -> ctypes._NamedFuncPointer:
        raise AttributeError(f"the kernels have no {name}")


def pointer(array: np.ndarray, offset: int = 0) -> int:
    """Address of element `offset` of the flattened array, which must outlive its use."""
    return int(array.ctypes.data) + offset * array.itemsize


def aligned(*shape: int, dtype: DTypeLike = np.float32) -> np.ndarray:
    """An array, whatever is in it, that begins with a cache line.

    numpy aligns to 16 bytes, so that each load of a whole vector would touch two lines.
    """
    kind = np.dtype(dtype)
    memory = np.empty(math.prod(shape) * kind.itemsize + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + math.prod(shape) * kind.itemsize].view(kind).reshape(shape)


def find() -> str | None:
    """Why the kernels cannot be used here, in a few words; None if they can."""
    found = _open()
    return found if isinstance(found, str) else None


def could_run() -> bool:
    """Whether this processor runs the kernels, once they are compiled."""
    features = _processor_features()
    flavours = FLAVOURS.get(platform.machine().lower(), {})
    return any(_NEEDED.get(flavour, set()) <= features for flavour in flavours)


def kernels() -> Kernels:
    """The kernels that fit this processor best.

    Raises:
        OSError: if there are none; `find` says why.
    """
    found = _open()
    if isinstance(found, str):
        raise OSError(found)
    return found


@functools.cache
def _open() -> Kernels | str:
    machine = platform.machine().lower()
    if machine not in FLAVOURS:
        return f"there are no kernels for a {machine} processor"
    built = [flavour for flavour in FLAVOURS[machine] if library_path(flavour).exists()]
    if not built:
        return "the kernels were not built when unbraid was installed (is there a C++ compiler?)"
    features = _processor_features()
    for flavour in built:
        if _NEEDED.get(flavour, set()) <= features:
            try:
                return Kernels(library_path(flavour))
            except OSError as error:
                return f"the kernels cannot be loaded: {error}"
    return "the kernels need a processor with AVX2 and FMA"


def _processor_features() -> set[str]:
    """Names of instruction sets, as Linux has them; elsewhere those of any 64-bit processor of the
    last ten years, since there is no cheap way to ask."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {"avx2", "fma"}
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())
