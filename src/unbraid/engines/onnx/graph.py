"""An exported model without torch: what its file says of it, and its estimates, with numpy.

The graph holds the network in real numbers; the Fourier transforms around it are done here, as
`models/stft.py` does them:

    mixture ─ STFT ─► features ─► graph ─► features of the stems ─ inverse STFT ─ + ─► estimates
         └──────────────────────►   └────► waves ─────────────────────────────────┘

A model made of models has all its networks in one graph, each with its own of all this; what is
done with their estimates is done here by the same code as everywhere (`models/compose/`).

Imports no torch.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError, ShapeError, how_to_install
from unbraid.models.exported.config import ExportedConfig
from unbraid.models.registry import composite_class, is_composite, make_config, plain_config
from unbraid.zoo.hashes import sha256_of

FORMAT_VERSION = 4  # 1-3: composites were flags, see `_mend_v3`
METADATA_KEY = "unbraid"


@dataclass(frozen=True)
class GraphInfo:
    """The description of an exported model, in the file's metadata.

    Attributes:
        architecture, config: of the model; its networks are of the architecture "exported", whose
            config says what is around each of them.
        licence: of the weights; "" if it is not known.
    """

    architecture: str
    config: Any
    licence: str = ""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems."""
        stems: tuple[str, ...] = self.config.spec.stems
        return stems

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return int(self.config.spec.sample_rate)

    @property
    def channels(self) -> int:
        """Audio channels."""
        return int(self.config.spec.channels)

    @property
    def samples(self) -> int:
        """The one length of mixture that the graph computes on."""
        return int(self.config.spec.segment_samples)

    def as_json(self) -> str:
        """For the metadata of a file; the plain facts at its top are for other programs."""
        facts = {"stems": self.stems, "sample_rate": self.sample_rate, "channels": self.channels}
        model = {"architecture": self.architecture, "config": plain_config(self.config)}
        return json.dumps(
            {"format": FORMAT_VERSION, **facts, "samples": self.samples, "licence": self.licence,
             **model}
        )  # fmt: skip


class OnnxGraph:
    """An exported model, ready to run.

    Args:
        path: the file.
        threads: of onnxruntime on the CPU; None for its own choice.
        device: "cpu", "cuda" or "cuda:N".
    Raises:
        CheckpointError: if it cannot be read, or was not exported by unbraid.
        SettingsError: if onnxruntime is not installed, or not for that device.
    """

    def __init__(self, path: str | Path, threads: int | None = None, device: str = "cpu") -> None:
        self.path = Path(path)
        self._session = _open_session(self.path, threads, device)
        self.info = _read_info(self.path, self._session)
        self._inputs = [field.name for field in self._session.get_inputs()]
        self._outputs = [field.name for field in self._session.get_outputs()]

    def estimate(self, mixture: np.ndarray) -> np.ndarray:
        """(channels, samples) of exactly `info.samples` -> (stems, channels, samples), float32.

        Raises:
            ShapeError: for any other shape.
        """
        info = self.info
        if mixture.shape != (info.channels, info.samples):
            raise ShapeError(
                f"{self.path.name} computes on (channels {info.channels}, samples {info.samples}), "
                f"got {mixture.shape}"
            )
        heard = np.ascontiguousarray(mixture, np.float32)[None]
        part = _part_of(info.architecture, info.config, heard)
        feeds = part.feeds()
        found = self._session.run(None, {name: feeds[name] for name in self._inputs})
        estimates = part.estimates(dict(zip(self._outputs, found, strict=True)))
        first: np.ndarray = estimates[0]
        return first

    def fingerprint(self) -> str:
        """Digest of the whole file."""
        return sha256_of(self.path)


def _part_of(architecture: str, config: Any, mixture: np.ndarray) -> _Network | _Composed:
    kind = _Composed if is_composite(architecture) else _Network
    return kind(architecture, config, mixture)


class _Composed:
    """A model made of models, whose networks are all in one graph: they run at once."""

    def __init__(self, architecture: str, config: Any, mixture: np.ndarray) -> None:
        self._mixture = mixture
        # Its members run in the graph; none of them is called from here.
        self._whole: Any = composite_class(architecture).of(
            config, dict.fromkeys(config.members), device="cpu"
        )
        self._parts = {
            name: _part_of(config.members[name].architecture, config.members[name].config, heard)
            for name, heard in self._whole.share(mixture).items()
        }

    def feeds(self) -> dict[str, np.ndarray]:
        """What goes into the graph."""
        return {k: v for part in self._parts.values() for k, v in part.feeds().items()}

    def estimates(self, results: dict[str, np.ndarray]) -> np.ndarray:
        """From what comes out."""
        found = {name: part.estimates(results) for name, part in self._parts.items()}
        joined: np.ndarray = self._whole.join(self._mixture, found)
        return joined


class _Network:
    """One network of the graph with the transforms around it, on a mixture (1 c t)."""

    def __init__(self, _: str, config: ExportedConfig, mixture: np.ndarray) -> None:
        self._config, self._mixture = config, mixture
        transform = config.transform
        self._spectrum = stft(mixture[0], config.n_fft, transform) if transform != "none" else None

    def feeds(self) -> dict[str, np.ndarray]:
        """What goes into the graph."""
        feeds = {f"{self._config.prefix}mixture": self._mixture}
        if self._spectrum is not None:
            entered = _enter(self._spectrum, self._config.head)
            feeds[f"{self._config.prefix}features"] = entered[None]
        return feeds

    def estimates(self, results: dict[str, np.ndarray]) -> np.ndarray:
        """(1 s c t) from what comes out."""
        config = self._config
        waves: np.ndarray = results.get(f"{config.prefix}waves", np.zeros(1, np.float32))
        if self._spectrum is None:
            return waves
        features = results[f"{config.prefix}stem_features"][0]
        spectra = _leave(features, self._spectrum, config.head)
        samples = self._mixture.shape[-1]
        summed: np.ndarray = waves + inverse_stft(spectra, samples, config.n_fft, config.transform)
        return summed if summed.ndim == 4 else summed[None]


def stft(x: np.ndarray, n_fft: int, transform: str) -> np.ndarray:
    """(..., samples) -> complex (..., n_fft / 2, frames), as the modules of `models/stft.py`."""
    hop, edge = n_fft // 4, _edge(n_fft, transform)
    frames = _frames(x.shape[-1], hop, transform)
    if transform == "centred":
        padded = _pad_reflect(x, edge, edge)
    else:
        left, right = 3 * hop // 2, 3 * hop // 2 + frames * hop - x.shape[-1]
        padded = (_pad_reflect if transform == "aligned" else _pad_zeros)(x, left, right)
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[..., ::hop, :]
    spectrum = np.fft.rfft(windows[..., :frames, :] * _window(n_fft), norm="ortho")
    kept: np.ndarray = np.swapaxes(spectrum[..., :-1], -1, -2).astype(np.complex64)
    return kept


def inverse_stft(z: np.ndarray, samples: int, n_fft: int, transform: str) -> np.ndarray:
    """(..., n_fft / 2, frames) -> (..., samples): the inverse, the Nyquist bin being zero."""
    hop, frames = n_fft // 4, z.shape[-1]
    spectrum = np.zeros((*z.shape[:-2], frames, n_fft // 2 + 1), np.complex64)
    spectrum[..., :-1] = np.swapaxes(z, -1, -2)
    window = _window(n_fft)
    pieces = np.fft.irfft(spectrum, norm="ortho").astype(np.float32) * window
    total = _overlapped(pieces, hop)
    # The window's sum is that of the whole transform: frames left out at the ends are zero there.
    outer = 0 if transform == "centred" else 2
    power = np.broadcast_to(np.square(window), (frames + 2 * outer, n_fft))
    weight = _overlapped(power, hop)[outer * hop :]
    start = _edge(n_fft, transform)
    signal: np.ndarray = total[..., start : start + samples] / weight[start : start + samples]
    return signal


def _edge(n_fft: int, transform: str) -> int:
    """Where sample 0 lies behind the start of frame 0."""
    hop = n_fft // 4
    return {"centred": 2 * hop, "aligned": 3 * hop // 2, "delayed": 0}[transform]


def _frames(samples: int, hop: int, transform: str) -> int:
    return samples // hop + 1 if transform == "centred" else -(-samples // hop)


def _overlapped(pieces: np.ndarray, hop: int) -> np.ndarray:
    """Frames (..., frames, n_fft), each a hop after the one before, added up."""
    *outer, frames, size = pieces.shape
    quarters = pieces.reshape(*outer, frames, size // hop, hop)
    total = np.zeros((*outer, frames + size // hop - 1, hop), pieces.dtype)
    for index in range(size // hop):
        total[..., index : index + frames, :] += quarters[..., index, :]
    return total.reshape(*outer, -1)


@functools.lru_cache(maxsize=4)
def _window(n_fft: int) -> np.ndarray:
    phase = 2 * np.pi * np.arange(n_fft) / n_fft
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def _pad_zeros(x: np.ndarray, left: int, right: int) -> np.ndarray:
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(left, right)])


def _pad_reflect(x: np.ndarray, left: int, right: int) -> np.ndarray:
    """By reflection; a signal too short for it first gets zeros, on the right as far as it may."""
    missing = max(left, right) - x.shape[-1] + 1
    if missing > 0:
        zeros_right = min(right, missing)
        x = _pad_zeros(x, missing - zeros_right, zeros_right)
        left, right = left - (missing - zeros_right), right - zeros_right
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(left, right)], mode="reflect")


def _enter(spectrum: np.ndarray, head: str) -> np.ndarray:
    """(c f n), complex -> what the network takes."""
    if head != "complex":
        size: np.ndarray = np.abs(spectrum)
        return size
    parts: np.ndarray = np.stack([spectrum.real, spectrum.imag], axis=1)
    return parts.reshape(-1, *spectrum.shape[1:])


def _leave(features: np.ndarray, mixture: np.ndarray, head: str) -> np.ndarray:
    """What the network gives, (s p f n), and the mixture's spectrum -> spectra (s c f n)."""
    if head == "complex":
        spectra: np.ndarray = features[:, 0::2] + 1j * features[:, 1::2]
        return spectra
    size = np.abs(mixture)
    if head == "ratio":
        phase = mixture / (1e-8 + size)
    else:
        phase = np.where(size == 0, 1, mixture / np.where(size == 0, 1, size))
    turned: np.ndarray = features * phase
    return turned


def _open_session(path: Path, threads: int | None, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise SettingsError(
            f"{path.name} takes onnxruntime, which is not installed: {how_to_install('onnx')}"
        ) from error
    kind, _, index = device.partition(":")
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise SettingsError(
                "this onnxruntime does not run on CUDA; use --device cpu, or install "
                "onnxruntime-gpu"
            )
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(index or 0)}))
    elif kind != "cpu":
        raise SettingsError(f"an exported model runs on cpu or cuda, got {device!r}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its errors share no base but this
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: onnxruntime cannot read it ({reason:.200})") from error


def _read_info(path: Path, session: Any) -> GraphInfo:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise CheckpointError(f"{path}: an ONNX file, but not one that unbraid exported")
    try:
        fields = json.loads(text)
        version = fields.pop("format")
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: export format {version}, this unbraid reads up to {FORMAT_VERSION}; "
                "update unbraid"
            )
        if version < FORMAT_VERSION:
            fields = _mend_v3(fields)
        architecture = str(fields["architecture"])
        config = make_config(architecture, fields["config"])
        return GraphInfo(architecture, config, str(fields.get("licence", "")))
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise CheckpointError(f"{path}: its unbraid metadata is damaged ({error!r})") from error


def _mend_v3(fields: dict[str, Any]) -> dict[str, Any]:
    """What formats 1 to 3 say, as format 4 does: ratio masks and a second rate were flags."""
    full = {
        "stems": fields["stems"],
        "sample_rate": fields["sample_rate"],
        "audio_channels": fields["channels"],
        "samples": fields["samples"],
        "transform": fields["transform"],
        "n_fft": fields["n_fft"],
        "head": fields["head"],
    }
    model: dict[str, Any] = {"architecture": "exported", "config": full}
    if low_n_fft := fields.get("low_n_fft", 0):
        low = {
            **full,
            "sample_rate": full["sample_rate"] // 4,
            "samples": -(-full["samples"] // 4),
            "n_fft": low_n_fft,
            "prefix": "low_",
        }
        members = {"full": model, "low": {"architecture": "exported", "config": low}}
        model = {"architecture": "two_rate", "config": members}
    if fields.get("ratio_masks", False):
        model = {"architecture": "ratio_masks", "config": {"model": model}}
    return {**model, "licence": fields.get("licence", "")}
