"""From a model to an ONNX file: the network as a graph, its Fourier transforms left outside.

What a file holds and how it is run is in `graph.py`.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.atomic import replacing
from unbraid.engines.onnx.graph import METADATA_KEY, GraphInfo
from unbraid.engines.onnx.run import OnnxModel
from unbraid.errors import ModelError, SettingsError, how_to_install
from unbraid.models.base import SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.models.network import GraphPart, Network

OPSET = 20
LARGEST_ERROR_DB = -80.0
"""How far a file may be from the model it was made from, on noise."""

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
    model: Network | SeparationModel | nn.Module,
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
        ModelError: if the model is a bag or a chain, filters its estimates, or comes out different.
    """
    _check_packages()
    network = _exportable(model).eval()
    member, parts = network.graph_parts(_example(network, segment_s))
    info = GraphInfo(member.architecture, member.config, licence)
    path = Path(path)
    with replacing(path, path.suffix) as temporary:
        _write(network, parts, info, temporary)
        error_db = measure_error(network, OnnxModel(temporary))
        if not error_db <= LARGEST_ERROR_DB:
            raise ModelError(
                f"the exported graph gives other stems than the model ({error_db:.0f} dB on "
                f"noise, {LARGEST_ERROR_DB:g} dB are allowed); nothing was written"
            )
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
            f"exporting takes {', '.join(missing)}, not installed: {how_to_install('onnx')}"
        )


def _exportable(model: Any) -> Network:
    if isinstance(model, Bag):
        raise ModelError("a bag is exported model by model; `unbraid models show` names them")
    if not isinstance(model, Network):
        raise ModelError(
            f"a {type(model).__name__} cannot be exported; the members of a chain can, one by one"
        )
    return model


def _example(network: Network, segment_s: float | None) -> Tensor:
    """A mixture of the length that the graph will compute on."""
    spec = network.spec
    samples = spec.segment_samples if segment_s is None else int(segment_s * spec.sample_rate)
    if samples < 1:
        raise SettingsError(f"a segment is longer than 0 seconds, got {segment_s}")
    return torch.zeros(1, spec.channels, network.valid_samples(samples))


class _Networks(nn.Module):
    """What goes into the graph: all networks, their inputs and outputs as plain tuples."""

    def __init__(self, network: Network, parts: list[GraphPart]) -> None:
        super().__init__()
        self.network = network  # whose weights are the graph's
        self._parts = parts

    def forward(self, *inputs: Tensor) -> Any:
        outputs: list[Tensor] = []
        for part in self._parts:
            own, inputs = inputs[: len(part.ends.inputs)], inputs[len(part.ends.inputs) :]
            outputs += part.ends.run(*own)
        return tuple(outputs)


def _write(network: Network, parts: list[GraphPart], info: GraphInfo, path: Path) -> None:
    import onnx

    from unbraid.engines.onnx.long_means import make_exact

    inputs = {f"{p.prefix}{name}": x for p in parts for name, x in p.ends.inputs.items()}
    networks = _Networks(network, parts)
    with torch.no_grad(), _quiet():
        networks(*inputs.values())  # what is kept between calls is real then, and no tracer's
        torch.onnx.export(
            networks,
            tuple(inputs.values()),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=list(inputs),
            output_names=[f"{p.prefix}{name}" for p in parts for name in p.ends.outputs],
            opset_version=OPSET,
        )
    graph = make_exact(onnx.load(path))
    onnx.helper.set_model_props(graph, {METADATA_KEY: info.as_json()})
    onnx.save(graph, path)


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
