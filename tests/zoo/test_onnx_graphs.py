"""KUIELAB-MDX-Net in ONNX, written by its authors' code (`reference/make_repository_files.py`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from reference.generator import uniform
from unbraid.engines.load import load_module
from unbraid.errors import CheckpointError
from unbraid.zoo.importing import import_model
from unbraid.zoo.open import open_model

FILES = Path(__file__).parent.parent / "reference" / "classic_files" / "mdx"
OUTPUTS = np.load(FILES / "outputs.npz")
SAMPLES = 11 * 1024  # of a segment of mdx/flat
STEMS = ("bass", "drums", "other", "vocals")


def heard(samples: int) -> torch.Tensor:
    """The mixture that the authors' code heard."""
    values = 0.4 * uniform("input", 2 * samples)
    return torch.from_numpy(values).float().reshape(1, 2, samples)


def close(found: torch.Tensor, wanted: np.ndarray) -> bool:
    return bool(np.abs(found.numpy() - wanted).max() < 1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("stem", ["vocals", "bass"])
def test_a_graph_gives_what_its_own_code_gives(stem):
    stored = open_model(FILES / f"{stem}.onnx")
    assert stored.spec.stems == (stem,) and stored.spec.segment_samples == 15 * 32
    with torch.no_grad():
        assert close(load_module(stored)(heard(480))[0, 0], OUTPUTS[stem])


@pytest.mark.parametrize("stem", ["vocals", "bass"])
def test_the_network_in_a_graph_is_what_onnxruntime_runs(stem):
    session = onnxruntime.InferenceSession(str(FILES / f"{stem}.onnx"))
    spectrum = np.random.default_rng(0).normal(size=(1, 4, 32, 16)).astype(np.float32)
    (wanted,) = session.run(None, {"input": spectrum})
    with torch.no_grad():
        found = load_module(open_model(FILES / f"{stem}.onnx")).nets[0](torch.from_numpy(spectrum))
    assert np.abs(found.numpy() - wanted).max() < 1e-6 * np.abs(wanted).max()


def test_four_graphs_and_their_mixer_are_one_model(tmp_path):
    stored = open_model(FILES / "flat")
    assert stored.architecture == "mdx_net" and stored.spec.stems == STEMS
    assert stored.config.n_ffts == (16384, 4096, 8192, 6144)
    with torch.no_grad():
        assert close(load_module(stored)(heard(SAMPLES))[0, ..., ::32], OUTPUTS["mixed"])
    files = [FILES / "flat" / f"{stem}.onnx" for stem in reversed(STEMS)]
    import_model([*files, FILES / "flat" / "mixer.ckpt"], tmp_path / "whole.safetensors")
    with torch.no_grad():
        found = load_module(open_model(tmp_path / "whole.safetensors"))(heard(SAMPLES))
    assert close(found[0, ..., ::32], OUTPUTS["mixed"])


def test_a_yaml_joins_graphs_with_or_without_a_mixer(tmp_path):
    shutil.copytree(FILES / "flat", tmp_path, dirs_exist_ok=True)
    whole = tmp_path / "whole.yaml"
    whole.write_text("per_stem: [bass, drums, other, vocals, mixer]\n")
    assert open_model(whole).architecture == "mdx_net"
    whole.write_text("per_stem: [vocals, drums]\n")
    assert open_model(whole).spec.stems == ("vocals", "drums")
    whole.unlink()
    (tmp_path / "mixer.ckpt").unlink()
    assert open_model(tmp_path).architecture == "per_stem"


def test_a_mixer_needs_its_networks(tmp_path):
    with pytest.raises(CheckpointError, match="not a model by itself"):
        open_model(FILES / "flat" / "mixer.ckpt")
    shutil.copytree(FILES / "flat", tmp_path, dirs_exist_ok=True)
    (tmp_path / "other.onnx").unlink()
    with pytest.raises(CheckpointError, match="four networks"):
        open_model(tmp_path)


def test_a_graph_of_unknown_stem_needs_a_yaml(tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(FILES / "vocals.onnx", path)
    with pytest.raises(CheckpointError, match="--config FILE"):
        open_model(path)
    stored = open_model(path, config=FILES / "vocals.yaml")
    assert stored.spec.stems == ("vocals",) and stored.config.n_ffts == (128,)


@pytest.mark.parametrize(
    "line", ["n_fft: 0", "n_fft: many", "n_fft: 33", "hop_length: 1e9", "target_name: ../x"]
)
def test_settings_that_make_no_model_are_refused(line, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text(line)
    with pytest.raises(CheckpointError):
        open_model(FILES / "vocals.onnx", config=settings)


def _of_kind(graph: onnx.GraphProto, kind: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.op_type == kind)


def _set(node: onnx.NodeProto, name: str, value: object) -> None:
    kept = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


OTHERS = {
    "another operator": lambda g: setattr(_of_kind(g, "Relu"), "op_type", "Tanh"),
    "one node less": lambda g: g.node.remove(_of_kind(g, "Relu")),
    "another stride": lambda g: _set(_of_kind(g, "Conv"), "strides", [2, 1]),
    "no margins": lambda g: _set(g.node[3], "pads", [0, 0, 0, 0]),
    "groups": lambda g: _set(_of_kind(g, "Conv"), "group", 2),
    "gaps": lambda g: _set(_of_kind(g, "Conv"), "dilations", [2, 2]),
    "another epsilon": lambda g: _set(_of_kind(g, "BatchNormalization"), "epsilon", 1e-3),
    "another turn": lambda g: _set(_of_kind(g, "Transpose"), "perm", [0, 2, 1, 3]),
    "a skip from elsewhere": lambda g: _of_kind(g, "Mul").input.__setitem__(1, g.node[1].output[0]),
    "a shortcut": lambda g: g.node[1].input.__setitem__(0, "input"),
    "a missing weight": lambda g: g.initializer.pop(0),
    "a weight of another type": lambda g: setattr(g.initializer[0], "data_type", 6),
    "a weight of another shape": lambda g: g.initializer[-1].dims.append(2),
    "a weight of 2^60 values": lambda g: g.initializer[-1].dims.append(2**60),
    "a weight in another file": lambda g: setattr(g.initializer[0], "data_location", 1),
    "two inputs": lambda g: g.input.append(onnx.ValueInfoProto(name="second")),
    "an input of any length": lambda g: g.input[0].type.tensor_type.shape.dim[3].Clear(),
    "no nodes": lambda g: g.node.__delitem__(slice(None)),
    "another output": lambda g: setattr(g.output[0], "name", g.node[0].output[0]),
}


@pytest.mark.parametrize("case", OTHERS)
def test_any_other_graph_is_refused(case, tmp_path):
    model = onnx.load(FILES / "vocals.onnx")
    OTHERS[case](model.graph)
    path = tmp_path / "vocals.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError) as refusal:
        sum(
            weight.count
            for weight in open_model(path, config=FILES / "vocals.yaml").weights.values()
        )
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


def test_cut_and_changed_files_are_refused_or_read(tmp_path):
    whole = (FILES / "flat" / "bass.onnx").read_bytes()
    path = tmp_path / "bass.onnx"
    rng = np.random.default_rng(0)
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"bass\.onnx"):
            open_model(path)
    for position in range(0, len(whole), 53):
        content = bytearray(whole)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            for weight in open_model(path).weights.values():
                weight.read()
        except CheckpointError as error:
            assert "\n" not in str(error)
