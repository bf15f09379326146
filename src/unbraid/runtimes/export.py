"""From a model to an ONNX file: the network as a graph, its Fourier transforms left outside.

What a file holds and how it is run is `onnx_graph.py`'s.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.atomic import publish
from unbraid.errors import ModelError, SettingsError
from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.models.demucs import Demucs
from unbraid.models.heads import MagnitudeHead
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.models.rates import to_quarter_rate
from unbraid.models.spectrogram_demucs import SpectrogramDemucs
from unbraid.models.two_rate_demucs import TwoRateDemucs
from unbraid.runtimes.onnx_graph import LOW, METADATA_KEY, GraphInfo
from unbraid.runtimes.onnx_runtime import OnnxModel

OPSET = 20
LARGEST_ERROR_DB = -80.0
"""How far a file may be from the model it was made from, on noise."""

_Spectral = HybridDemucs | SpectrogramDemucs
_Known = _Spectral | TwoRateDemucs | Demucs
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        info: as the file says it.
        error_db: power of the difference to the model's estimates over theirs, on noise.
    """

    info: GraphInfo
    error_db: float


def export_onnx(
    model: SeparationModel | nn.Module,
    path: str | Path,
    *,
    segment_s: float | None = None,
    licence: str = "",
) -> Exported:
    """Write `model` to `path`, whole or not at all, and check it against the model.

    Args:
        model: on the CPU, in float32; it is put into evaluation mode.
        segment_s: the one length of segment that the file will compute on; None: the model's own.
        licence: of the weights.
    Raises:
        SettingsError: if a segment is too short, or a package of the extra `onnx` is missing.
        ModelError: if the model is a bag, filters its estimates, or comes out different.
    """
    _check_packages()
    network = _exportable(model).eval()
    info = _describe(network, segment_s, licence)
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        _write(network, info, temporary)
        error_db = measure_error(network, OnnxModel(temporary))
        if not error_db <= LARGEST_ERROR_DB:
            raise ModelError(
                f"the exported graph gives other stems than the model ({error_db:.0f} dB on "
                f"noise, {LARGEST_ERROR_DB:g} dB are allowed); nothing was written"
            )
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(info, error_db)


def measure_error(model: nn.Module, exported: OnnxModel) -> float:
    """Power of what the two differ by on noise, over that of the model's estimates, in dB."""
    spec = exported.spec
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(1, spec.channels, spec.segment_samples, generator=generator)
    with torch.no_grad():
        expected = model(noise)
    difference = float((exported(noise) - expected).double().square().sum())
    return 10 * math.log10((difference + 1e-30) / (float(expected.double().square().sum()) + 1e-30))


def _check_packages() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"exporting takes {', '.join(missing)}, not installed: pip install 'unbraid[onnx]'"
        )


def _exportable(model: SeparationModel | nn.Module) -> _Known:
    if isinstance(model, Bag):
        raise ModelError("a bag is exported model by model; `unbraid models show` names them")
    if not isinstance(model, (HybridDemucs, TwoRateDemucs, SpectrogramDemucs, Demucs)):
        raise ModelError(f"{type(model).__name__} is not a model that can be exported")
    return model


def _describe(model: _Known, segment_s: float | None, licence: str) -> GraphInfo:
    spec = model.spec
    samples = spec.segment_samples if segment_s is None else int(segment_s * spec.sample_rate)
    if samples < 1:
        raise SettingsError(f"a segment is longer than 0 seconds, got {segment_s}")
    transform, n_fft, head = "none", 0, "none"
    if not isinstance(model, Demucs):
        part = model.full if isinstance(model, TwoRateDemucs) else model
        n_fft, head = part.config.n_fft, _head(part.head)
        transform = "centred"
        if isinstance(part, HybridDemucs):
            transform = "delayed" if part.config.delayed_stft else "aligned"
    return GraphInfo(
        stems=spec.stems,
        sample_rate=spec.sample_rate,
        channels=spec.channels,
        samples=model.valid_samples(samples),
        transform=transform,
        n_fft=n_fft,
        head=head,
        licence=licence,
        ratio_masks=spec.ratio_masks,
        low_n_fft=model.low.config.n_fft if isinstance(model, TwoRateDemucs) else 0,
    )


def _head(head: nn.Module) -> str:
    if not isinstance(head, MagnitudeHead):
        return "complex"
    if head.iterations > 0:
        raise ModelError(
            "this model refines its stems by Wiener filtering, which has no part in a graph; "
            "export one that takes the phase of the mixture as it is"
        )
    return "ratio" if head.iterations < 0 else "magnitude"


class _Network(nn.Module):
    """What goes into the graph: the network with its inputs and outputs as a plain tuple."""

    def __init__(self, model: _Known) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Any:
        if isinstance(self.model, Demucs):
            return self.model(*inputs)
        if isinstance(self.model, TwoRateDemucs):
            return *self.model.full.network(*inputs[:2]), *self.model.low.network(*inputs[2:])
        return self.model.network(*inputs)


def _write(model: Any, info: GraphInfo, path: Path) -> None:
    import onnx

    mixture = torch.zeros(1, info.channels, info.samples)
    if isinstance(model, Demucs):
        inputs, outputs = {"mixture": mixture}, ["waves"]
    elif isinstance(model, TwoRateDemucs):
        inputs, outputs = _ends(model.full, mixture)
        low_inputs, low_outputs = _ends(model.low, to_quarter_rate(mixture))
        inputs.update({f"{LOW}{name}": value for name, value in low_inputs.items()})
        outputs += [f"{LOW}{name}" for name in low_outputs]
    else:
        inputs, outputs = _ends(model, mixture)
    network = _Network(model)
    with torch.no_grad(), _quiet():
        network(*inputs.values())  # what is kept between calls is real then, and no tracer's
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
        )
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {METADATA_KEY: info.as_json()})
    onnx.save(graph, path)


def _ends(model: _Spectral, mixture: Tensor) -> tuple[dict[str, Tensor], list[str]]:
    """Inputs and names of outputs of a network between an STFT and its inverse."""
    inputs = {"features": model.head.enter(model.stft(mixture))}
    if isinstance(model, HybridDemucs):
        return {**inputs, "mixture": mixture}, ["stem_features", "waves"]
    return inputs, ["stem_features"]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own deprecations and of torchvision, which we do not use."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
