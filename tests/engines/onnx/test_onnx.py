"""Exported models: the same numbers as the model they were made from, with torch and without."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

import unbraid
from small_composites import masked
from unbraid.engines.onnx import graph as onnx_graph
from unbraid.engines.onnx.alone import OnnxSeparator
from unbraid.engines.onnx.export import export_onnx, measure_error
from unbraid.engines.onnx.run import OnnxModel
from unbraid.errors import CheckpointError, ModelError, SettingsError, ShapeError
from unbraid.models.compose.bag import Bag
from unbraid.models.demucs.network import Demucs, DemucsConfig
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig
from unbraid.models.layers.stft import AlignedSTFT, CentredSTFT, DelayedSTFT
from unbraid.models.registry import build_model
from unbraid.models.spectrogram_demucs.network import SpectrogramDemucs, SpectrogramDemucsConfig
from unbraid.zoo.header import mend_v1

SMALL = {
    "sample_rate": 8000,
    "segment_s": 0.125,
    "width": 4,
    "n_fft": 256,
    "depth": 5,
    "residual_depth": 1,
    "residual_compression": 1,
    "norm_from": 2,
    "lstm_from": 4,
    "attention_from": 4,
}
SAMPLES = 1000


def hybrid(**changes) -> HybridDemucs:
    torch.manual_seed(0)
    return HybridDemucs(HybridDemucsConfig(**{**SMALL, **changes})).eval()


@pytest.fixture(scope="module")
def model() -> HybridDemucs:
    return hybrid()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    exported = export_onnx(model, path, licence="MIT")
    assert exported.error_db < -80
    return path


def song(samples: int, channels: int = 2) -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


def test_an_exported_model_gives_what_the_model_gives(model, file):
    exported = OnnxModel(file)
    assert exported.licence == "MIT"
    assert exported.spec.stems == model.spec.stems
    assert exported.spec.segment_samples == exported.spec.longest_samples == SAMPLES
    assert measure_error(model, exported) < -80


def test_an_exported_model_is_loaded_and_separates_like_any_other(file):
    loaded = unbraid.load_model(file)
    signal = torch.from_numpy(song(3 * SAMPLES + 17))
    stems = unbraid.Separator(loaded).separate(signal, 8000)
    by_name = unbraid.Separator(str(file)).separate(signal, 8000)
    for stem, part in stems.items():
        assert part.shape == signal.shape
        torch.testing.assert_close(by_name[stem], part, atol=0, rtol=0)


@pytest.mark.parametrize("samples, rate", [(3 * SAMPLES + 17, 8000), (900, 8000), (9001, 11025)])
def test_without_torch_the_stems_are_the_same(file, samples, rate):
    signal = song(samples)
    expected = unbraid.Separator(str(file)).separate(signal, rate)
    found = OnnxSeparator(file).separate(signal, rate)
    for stem, part in expected.items():
        np.testing.assert_allclose(found[stem], part, atol=2e-6)


@pytest.mark.slow
def test_without_torch_ratio_masks_are_applied_too(tmp_path):
    path = tmp_path / "masked.onnx"
    export_onnx(masked("hybrid_demucs", **SMALL), path)
    signal = song(3 * SAMPLES + 17)
    expected = unbraid.Separator(str(path)).separate(signal, 8000)
    found = OnnxSeparator(path).separate(signal, 8000)
    for stem, part in expected.items():
        np.testing.assert_allclose(found[stem], part, atol=2e-5)
    np.testing.assert_allclose(sum(found.values()), signal, atol=1e-5)


@pytest.mark.slow
def test_a_model_of_two_rates_is_one_graph(tmp_path):
    path = tmp_path / "two.onnx"
    flat = {**SMALL, "n_fft": 1024, "low_width": 4, "ratio_masks": True}
    torch.manual_seed(0)
    exported = export_onnx(build_model(*mend_v1("two_rate_demucs", flat)[:2]), path)
    assert exported.error_db < -80
    assert exported.info.config.model.config.low.config.n_fft == 256
    signal = song(3 * SAMPLES + 17)
    expected = unbraid.Separator(str(path)).separate(signal, 8000)
    found = OnnxSeparator(path).separate(signal, 8000)
    for stem, part in expected.items():
        np.testing.assert_allclose(found[stem], part, atol=2e-5)


def test_without_torch_a_single_channel_and_silence_are_taken_too(file):
    separator = OnnxSeparator(file)
    mono = song(5000, channels=1)
    expected = unbraid.Separator(str(file)).separate(mono, 8000)
    for stem, part in separator.separate(mono, 8000).items():
        np.testing.assert_allclose(part, expected[stem], atol=2e-6)
    silence = separator.separate(np.zeros((2, 100), np.float32), 8000)
    assert all(not part.any() and part.shape == (2, 100) for part in silence.values())


def test_without_torch_means_that_nothing_imports_it(file):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from unbraid.engines.onnx.alone import OnnxSeparator\n"
        f"stems = OnnxSeparator({str(file)!r}).separate(np.ones((2, 9000)) * 0.1, 8000)\n"
        "print(*stems, *stems['bass'].shape)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["drums", "bass", "other", "vocals", "2", "9000"]


@pytest.mark.parametrize("samples", [300, 1024, 4001, 9999])
@pytest.mark.parametrize(
    "name, module", [("aligned", AlignedSTFT), ("delayed", DelayedSTFT), ("centred", CentredSTFT)]
)
def test_the_transforms_are_those_of_the_models(name, module, samples):
    x = song(samples)
    z = module(256)(torch.from_numpy(x))
    np.testing.assert_allclose(onnx_graph.stft(x, 256, name), z.numpy(), atol=2e-6)
    changed = z * torch.linspace(0, 1, z.shape[-1])
    back = onnx_graph.inverse_stft(changed.numpy(), samples, 256, name)
    expected = module(256).inverse(changed, samples).numpy()
    np.testing.assert_allclose(back, expected, atol=5e-6)


@pytest.mark.parametrize("iterations, head", [(0, "magnitude"), (-1, "ratio")])
def test_heads_are_those_of_the_models(iterations, head):
    model = hybrid(
        magnitude=True, wiener_iterations=iterations, wiener_training_iterations=iterations
    )
    z = model.stft(torch.from_numpy(song(SAMPLES)))
    z[:, :, 3] = 0
    entered = onnx_graph._enter(z.numpy(), head)
    np.testing.assert_allclose(entered, model.head.enter(z[None])[0], atol=1e-6)
    features = torch.randn(1, 4, *z.shape)
    expected = model.head.leave(features, z[None])[0]
    found = onnx_graph._leave(features[0].numpy(), z.numpy(), head)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delayed", "magnitude", "spectrogram", "waveform", "bands"])
def test_every_architecture_can_be_exported(kind, tmp_path):
    torch.manual_seed(0)
    if kind == "spectrogram":
        model = SpectrogramDemucs(SpectrogramDemucsConfig(**SMALL))
    elif kind == "waveform":
        small = {"sample_rate": 8000, "segment_s": 0.5, "width": 8, "depth": 3, "lstm_layers": 1}
        model = Demucs(DemucsConfig(**small))
    else:
        model = hybrid(
            delayed_stft=kind == "delayed",
            magnitude=kind == "magnitude",
            band_splits=(0.3,) if kind == "bands" else (),
        )
    assert export_onnx(model, tmp_path / "model.onnx").error_db < -80


@pytest.mark.slow
def test_mini_is_exported_within_80_db(tmp_path):
    exported = export_onnx(unbraid.load_model("mini"), tmp_path / "mini.onnx")
    assert exported.error_db < -80
    assert exported.info.samples == 220500 and exported.info.architecture == "ratio_masks"


def test_what_cannot_be_exported_is_told(model, tmp_path):
    path = tmp_path / "none.onnx"
    with pytest.raises(ModelError, match="bag"):
        export_onnx(Bag([model]), path)
    with pytest.raises(ModelError, match="Linear"):
        export_onnx(torch.nn.Linear(1, 1), path)
    with pytest.raises(ModelError, match="Wiener"):
        export_onnx(hybrid(magnitude=True, wiener_iterations=1, wiener_training_iterations=1), path)
    with pytest.raises(SettingsError, match="longer than 0"):
        export_onnx(model, path, segment_s=0)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_exports_are_refused(file, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph at all")
    with pytest.raises(CheckpointError, match="refused"):
        unbraid.load_model(broken)
    graph = onnx.load(file)
    for text, message in [
        (f'{{"format": {onnx_graph.FORMAT_VERSION + 1}}}', "update"),
        ("{}", "damaged"),
        ("[", "damaged"),
    ]:
        onnx.helper.set_model_props(graph, {onnx_graph.METADATA_KEY: text})
        onnx.save(graph, broken)
        with pytest.raises(CheckpointError, match=message):
            unbraid.load_model(broken)
    del graph.metadata_props[:]
    onnx.save(graph, broken)
    with pytest.raises(CheckpointError, match="neither a file of unbraid export"):
        unbraid.load_model(broken)


def test_wrong_requests_are_told(file, unchecked):
    with pytest.raises(SettingsError, match="overlap"):
        OnnxSeparator(file, overlap=1)
    with pytest.raises(ShapeError, match="computes on"):
        onnx_graph.OnnxGraph(file).estimate(np.zeros((2, 5), np.float32))
    with pytest.raises(ShapeError, match="1 or 2 channels"):
        OnnxSeparator(file).separate(np.zeros((3, 5), np.float32), 8000)
    with pytest.raises(SettingsError, match="bf16"):
        unbraid.Separator(str(file), precision="bf16")
    with pytest.raises(SettingsError, match="cpu or cuda"):
        OnnxModel(file, "mps")
    with pytest.raises(SettingsError, match="export"):
        unbraid.Separator(str(file), max_memory=1000)
