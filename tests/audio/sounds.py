"""Sounds and files for the tests of the audio floor."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image


def noise(channels: int, samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """White noise with a click in its middle, (channels, samples) float32."""
    signal = np.random.default_rng(seed).standard_normal((channels, samples)) * level
    signal[:, samples // 2] = 0.9
    return signal.astype(np.float32)


def integers(channels: int, samples: int, bits: int, seed: int = 0) -> np.ndarray:
    """Random integers over the whole range, with both ends among them, int32."""
    full = 2 ** (bits - 1)
    values = np.random.default_rng(seed).integers(-full, full, (channels, samples), np.int32)
    values[:, 0] = -full
    values[:, -1] = full - 1
    return values


def lag(reference: np.ndarray, signal: np.ndarray) -> int:
    """Samples by which `signal` is late, from the peak of the cross-correlation."""
    size = 1 << (max(len(reference), len(signal)).bit_length() + 1)
    spectrum = np.fft.rfft(signal, size) * np.conj(np.fft.rfft(reference, size))
    late = int(np.fft.irfft(spectrum, size).argmax())
    return late if late < size // 2 else late - size


def encode(
    path: Path, muxer: str, codec: str, samples: np.ndarray, kind: str, rate: int = 44100
) -> Path:
    """Write `samples` with FFmpeg alone: (channels, samples) of the type that `kind` names."""
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}.get(
        len(samples), f"{len(samples)} channels"
    )
    with path.open("wb") as file, av.open(file, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        stream.codec_context.format = kind
        if codec in ("libmp3lame", "aac", "libopus"):
            stream.codec_context.bit_rate = 192_000
        for start in range(0, samples.shape[1], 4096):
            container.mux(stream.encode(_frame(samples, start, kind, layout, rate)))
        container.mux(stream.encode(None))
    return path


def _frame(samples: np.ndarray, start: int, kind: str, layout: str, rate: int) -> av.AudioFrame:
    block = samples[:, start : start + 4096]
    frame = av.AudioFrame(kind, layout, block.shape[1])
    rows = block if kind.endswith("p") else block.T.reshape(1, -1)
    for plane, row in zip(frame.planes, rows, strict=False):
        plane.update(np.ascontiguousarray(row))
    frame.sample_rate = rate
    frame.pts = start
    return frame


def picture(kind: str = "JPEG", seed: int = 0) -> bytes:
    """A small image file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def wav_bytes(
    samples: np.ndarray, *, rate: int = 44100, code: int = 1, claimed: int | None = None
) -> bytes:
    """A plain wav made by hand; `claimed` is the size of its data that the header tells."""
    data = np.ascontiguousarray(samples.T).tobytes()
    size = len(data) if claimed is None else claimed
    width = samples.dtype.itemsize
    step = width * len(samples)
    header = (
        b"RIFF" + min(size + 36, 0xFFFFFFFF).to_bytes(4, "little") + b"WAVEfmt "
        + (16).to_bytes(4, "little") + code.to_bytes(2, "little")
        + len(samples).to_bytes(2, "little") + rate.to_bytes(4, "little")
        + (rate * step & 0xFFFFFFFF).to_bytes(4, "little") + (step & 0xFFFF).to_bytes(2, "little")
        + (8 * width).to_bytes(2, "little") + b"data" + size.to_bytes(4, "little")
    )  # fmt: skip
    return header + data
