"""Renew the stored files of classic systems and their outputs, where their packages are:

    python -m venv classic-env
    classic-env/bin/pip install torch==2.13.0 torchaudio openunmix==1.3.0
    classic-env/bin/pip install asteroid==0.7.0 demucs==2.0.3
    classic-env/bin/python tests/reference/make_classic_files.py [FOLDER [NAME...]]

NAMEs renew some of them. Two are made by their names alone: demucs_unpacked, with diffq==0.1.0; and
res_u_net, of 410 MB and for another FOLDER than the stored one, with bytesep==0.1.1, librosa, and
mapillary/inplace_abn@b50bfe9 built for this version of torch.

Each package saves small networks with random weights in its own way, and computes what they make of
a deterministic input. Where torchaudio does not import, empty modules stand in for it: nothing of
it is called.
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from reference.generator import uniform

HERE = Path(__file__).parent / "classic_files"
SAMPLES = 2000


def stand_in_for_torchaudio() -> None:
    """Empty modules, if the real one does not load."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        for name in ("", ".transforms", ".functional", ".models", ".compliance", ".datasets"):
            module = types.ModuleType(f"torchaudio{name}")
            module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
            module.__path__ = []
            sys.modules[module.__name__] = module


def mixture(channels: int) -> torch.Tensor:
    """(1, channels, SAMPLES)."""
    values = 0.4 * uniform("input", channels * SAMPLES)
    return torch.from_numpy(values).float().reshape(1, channels, SAMPLES)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """In evaluation mode, with no weight or statistic left as it starts."""
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not name.endswith("window"):
            value.add_(0.05 * torch.rand_like(value))
    return model.eval()


def open_unmix(folder: Path) -> torch.Tensor:
    """Two stems with their separator.json; the first file as torch wrote it before 1.6."""
    from openunmix.model import OpenUnmix, Separator

    stems = ("vocals", "drums")
    nets = {
        stem: shaken(OpenUnmix(nb_bins=65, hidden_size=8, nb_layers=2, max_bin=40))
        for stem in stems
    }
    (folder / "umx").mkdir(exist_ok=True)
    for stem, net in nets.items():
        torch.save(
            net.state_dict(),
            folder / "umx" / f"{stem}.pth",
            _use_new_zipfile_serialization=stem != "vocals",
        )
    about = {"nfft": 128, "nhop": 32, "sample_rate": 44100.0, "nb_channels": 2}
    (folder / "umx" / "separator.json").write_text(json.dumps(about) + "\n")
    separator = Separator(
        nets, niter=1, n_fft=128, n_hop=32, nb_channels=2, sample_rate=44100.0, filterbank="torch"
    ).eval()
    return separator(mixture(2))


def conv_tasnet(folder: Path) -> torch.Tensor:
    from asteroid.models import ConvTasNet

    model = shaken(
        ConvTasNet(3, n_filters=16, bn_chan=8, hid_chan=12, skip_chan=10, n_blocks=2, n_repeats=2)
    )
    torch.save(model.serialize(), folder / "convtasnet.pth")
    return model(mixture(1))[:, :, None]


def dprnn(folder: Path) -> torch.Tensor:
    from asteroid.models import DPRNNTasNet

    model = shaken(DPRNNTasNet(2, n_filters=16, bn_chan=8, hid_size=6, chunk_size=20, n_repeats=2))
    torch.save(model.serialize(), folder / "dprnn.pth")
    return model(mixture(1))[:, :, None]


def x_umx(folder: Path) -> torch.Tensor:
    """Its class refuses to be made; the one it renamed computes, with torch's old real views."""
    from asteroid.models.x_umx import BrokenXUMX

    stft, istft = torch.stft, torch.istft
    torch.stft = lambda *a, **k: torch.view_as_real(stft(*a, **{**k, "return_complex": True}))
    torch.istft = lambda z, *a, **k: istft(torch.view_as_complex(z.contiguous()), *a, **k)
    model = shaken(
        BrokenXUMX(
            window_length=128,
            in_chan=128,
            n_hop=32,
            hidden_size=8,
            nb_layers=2,
            max_bin=40,
            sources=["bass", "drums", "vocals", "other"],
            return_time_signals=True,
        )
    )
    torch.save(model.serialize(), folder / "xumx.pth")
    found = model(mixture(2))[1].permute(1, 0, 2, 3)
    torch.stft, torch.istft = stft, istft
    return found


def res_u_net(folder: Path) -> torch.Tensor:
    """Its sizes are fixed. Some gains are below zero, as training may leave them.

    Kernels stay as they start: so many layers would let sounds grow without end.
    """
    from bytesep.models.resunet_ismir2021 import ResUNet143_DecouplePlusInplaceABN_ISMIR2021

    model = ResUNet143_DecouplePlusInplaceABN_ISMIR2021(2, 1).eval()
    for name, value in model.state_dict().items():
        if value.ndim == 1 and not name.startswith(("stft", "istft")):
            value.add_(0.05 * torch.rand_like(value))
        if name.endswith("abn2.weight"):
            value[::3].neg_()
    torch.save({"model": model.state_dict()}, folder / "resunet143_ismir2021_vocals.pth")
    return model({"waveform": mixture(2)})["waveform"][None]


def demucs(folder: Path) -> torch.Tensor:
    from demucs.model import Demucs

    model = shaken(Demucs(["drums", "bass", "other", "vocals"], channels=4, depth=3))
    torch.save(model.state_dict(), folder / "demucs.th")
    return _padded(model)


def _padded(model: torch.nn.Module) -> torch.Tensor:
    """What Demucs makes of the mixture with silence around it, as long as the mixture."""
    samples = model.valid_length(SAMPLES)
    ahead = (samples - SAMPLES) // 2
    padded = torch.nn.functional.pad(mixture(2), (ahead, samples - SAMPLES - ahead))
    found = model(padded)
    cut = (found.shape[-1] - SAMPLES) // 2
    return found[..., cut : cut + SAMPLES]


def demucs_quantized(folder: Path, name: str = "demucs_quantized") -> torch.Tensor:
    """By DiffQ; some weights have more bits than others."""
    from demucs.model import Demucs
    from demucs.utils import get_state
    from diffq import DiffQuantizer

    model = shaken(Demucs(["drums", "bass", "other", "vocals"], channels=4, depth=2))
    quantizer = DiffQuantizer(model, group_size=8, min_size=0.0005)
    for index, parameter in enumerate(quantizer._qparams):
        parameter.logit.data[::2] += 0.3 * (index % 5)
    torch.save(get_state(model, quantizer), folder / f"{name}.th")
    quantizer.quantize()
    quantizer.detach()
    return _padded(model)


def demucs_unpacked(folder: Path) -> torch.Tensor:
    """The same by diffq 0.1.0, which did not pack bits and described nothing."""
    return demucs_quantized(folder, "demucs_unpacked")


def tasnet(folder: Path) -> torch.Tensor:
    from demucs.tasnet import ConvTasNet

    model = shaken(ConvTasNet(["drums", "bass", "other", "vocals"], N=16, L=8, B=8, H=12, X=2, R=2))
    torch.save(model.state_dict(), folder / "tasnet.th")
    return model(mixture(2))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    stand_in_for_torchaudio()
    makers = (open_unmix, conv_tasnet, dprnn, x_umx, demucs, demucs_quantized, tasnet)
    named = {make.__name__: make for make in (*makers, demucs_unpacked, res_u_net)}
    chosen = sys.argv[2:] or [make.__name__ for make in makers]
    stored = folder / "outputs.npz"
    outputs = dict(np.load(stored)) if sys.argv[2:] and stored.exists() else {}
    for name in chosen:
        torch.manual_seed(7)
        with torch.no_grad():
            outputs[name] = named[name](folder).numpy().astype(np.float32)
    np.savez_compressed(folder / "outputs.npz", **outputs)


if __name__ == "__main__":
    main()
