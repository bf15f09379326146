"""What public packages do with models of today: run by their own Python, see `modern.py`.

    PYTHON benchmarks/modern_peer.py make KIND SIZE FOLDER     a model with random weights, as files
    PYTHON benchmarks/modern_peer.py forward FOLDER IN OUT     one forward pass, arrays of numpy
    PYTHON benchmarks/modern_peer.py separate FOLDER SONG OUT  a song to float32 files

Needs demucs 4.1.0 for HT Demucs and pymss 2.1.12 for all others. Only what these packages offer is
called.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

STEMS = ["drums", "bass", "other", "vocals"]
HTDEMUCS: dict[str, dict[str, Any]] = {
    "small": {"channels": 16, "bottom_channels": 64, "t_heads": 4, "segment": Fraction(3, 2)},
    "public": {"bottom_channels": 512, "segment": Fraction(39, 5)},
}
"""Arguments of HT Demucs; those of the public size are those of `htdemucs`."""

# pymss leaves 0 Hz as it is, whatever the settings of a Mel-Band RoFormer say; so all do here.
_ATTENTION = {
    "time_transformer_depth": 1, "freq_transformer_depth": 1, "stereo": True, "zero_dc": False,
}  # fmt: skip
_BANDS = [*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129]
_SMALL = {"dim": 16, "depth": 2, "heads": 2, "dim_head": 8, **_ATTENTION}
MSST: dict[str, dict[str, dict[str, Any]]] = {
    "bs_roformer": {
        "small": {**_SMALL, "num_stems": 1, "freqs_per_bands": _BANDS},
        "public": {
            "dim": 256, "depth": 12, "num_stems": 1, "freqs_per_bands": _BANDS, **_ATTENTION,
        },
    },
    "mel_band_roformer": {
        "small": {**_SMALL, "num_bands": 60, "mask_estimator_depth": 2, "stft_hop_length": 441},
        "public": {
            "dim": 384, "depth": 6, "num_bands": 60, "mask_estimator_depth": 2,
            "stft_hop_length": 441, "num_stems": 1, **_ATTENTION,
        },
    },
    "scnet": {
        "small": {"sources": STEMS, "dims": [4, 8, 16, 32], "band_SR": [0.175, 0.392, 0.433],
                  "num_dplayer": 2},
        "public": {"sources": STEMS, "dims": [4, 32, 64, 128], "band_SR": [0.175, 0.392, 0.433],
                   "num_dplayer": 6},
    },
    "mdx23c": {
        "small": {"act": "gelu", "bottleneck_factor": 4, "growth": 8, "norm": "InstanceNorm",
                  "num_blocks_per_scale": 2, "num_channels": 16, "num_scales": 3,
                  "num_subbands": 4, "scale": [2, 2]},
        "public": {"act": "gelu", "bottleneck_factor": 4, "growth": 128, "norm": "InstanceNorm",
                   "num_blocks_per_scale": 2, "num_channels": 128, "num_scales": 5,
                   "num_subbands": 4, "scale": [2, 2]},
    },
}  # fmt: skip
"""The `model` section of the YAML of each network."""

AUDIO: dict[str, dict[str, dict[str, int]]] = {
    "bs_roformer": {"small": {"chunk_size": 44100}, "public": {"chunk_size": 352768}},
    "mel_band_roformer": {"small": {"chunk_size": 44100}, "public": {"chunk_size": 352800}},
    "scnet": {"small": {"chunk_size": 44100}, "public": {"chunk_size": 485100}},
    "mdx23c": {
        "small": {"chunk_size": 48896, "dim_f": 512, "hop_length": 256, "n_fft": 1024},
        "public": {"chunk_size": 261120, "dim_f": 4096, "hop_length": 1024, "n_fft": 8192},
    },
}
OVERLAPS = {"bs_roformer": 2, "mel_band_roformer": 2, "scnet": 4, "mdx23c": 4}


def make(kind: str, size: str, folder: Path) -> None:
    """Write the files of a model with random weights that matter as trained ones do."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if kind.startswith("htdemucs"):
        _make_htdemucs(kind, size, folder)
        return
    stems = STEMS if kind == "scnet" else ["vocals", "instrumental"]
    alone = kind.endswith("roformer")
    settings = {
        "audio": {"sample_rate": 44100, "num_channels": 2, **AUDIO[kind][size]},
        "model": MSST[kind][size],
        "training": {"instruments": stems, "target_instrument": "vocals" if alone else None},
        "inference": {"batch_size": 1, "num_overlap": OVERLAPS[kind]},
    }
    path = folder / "model.yaml"
    path.write_text(json.dumps(settings, indent=1))  # JSON is YAML, too
    model, _ = _network(kind, path)
    _liven(model)
    torch.save(model.state_dict(), folder / "model.ckpt")
    (folder / "kind").write_text(kind)


def _make_htdemucs(kind: str, size: str, folder: Path) -> None:
    from demucs.htdemucs import HTDemucs

    stems = [*STEMS, "guitar", "piano"] if kind == "htdemucs_6s" else STEMS
    kwargs = {**HTDEMUCS[size], "dconv_mode": 3}
    if kind == "htdemucs_6s":
        kwargs["bottom_channels"] = 0
    names = ["0123abc0", "0123abc1", "0123abc2", "0123abc3"][: 4 if kind == "htdemucs_ft" else 1]
    for name in names:
        model = HTDemucs(stems, **kwargs)
        _liven(model)
        state = {key: value.half() for key, value in model.state_dict().items()}
        package = {"klass": HTDemucs, "args": (stems,), "kwargs": kwargs, "state": state}
        torch.save({**package, "training_args": {}}, folder / f"{name}.th")
    if len(names) > 1:  # each model gives one stem, as those of htdemucs_ft do
        weights = [[float(row == column) for column in range(4)] for row in range(4)]
        bag = {"models": names, "weights": weights}
        (folder / "bag.yaml").write_text(json.dumps(bag))
    (folder / "kind").write_text("htdemucs")


def _liven(model: torch.nn.Module) -> None:
    """Scales as large and norms as different as those of a trained model."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".scale"):
                parameter.uniform_(0.05, 0.3)
            elif "norm" in name or name.endswith("gamma"):
                parameter.add_(0.1 * torch.randn_like(parameter))


def _network(kind: str, settings: Path) -> tuple[torch.nn.Module, Any]:
    from pymss.utils import get_model_from_config

    # It takes the hidden layers of the masks from the weights, where there are some.
    more = {"mlp_hidden_layers": 2} if kind == "mel_band_roformer" else None
    model, config = get_model_from_config(kind, str(settings), model_kwargs_override=more)[:2]
    return model.eval(), config


def _bag(folder: Path) -> Any:
    from demucs.pretrained import get_model

    names = sorted(path.stem for path in folder.glob("*.th"))
    return get_model("bag" if len(names) > 1 else names[0], repo=folder)


def forward(folder: Path, given: Path, out: Path) -> None:
    """One pass: (b c t) -> (b s c t)."""
    mixture = torch.from_numpy(np.load(given))
    with torch.no_grad():
        if (folder / "kind").read_text() == "htdemucs":
            bag = _bag(folder)
            models = getattr(bag, "models", [bag])
            estimates = torch.stack([model.eval()(mixture) for model in models])
            estimates = estimates[0] if len(models) == 1 else _own_stems(estimates)
        else:
            estimates = _loaded(folder)[0](mixture)
            estimates = estimates if estimates.ndim == 4 else estimates[:, None]
    np.save(out, estimates.numpy())


def _own_stems(estimates: torch.Tensor) -> torch.Tensor:
    return torch.stack([estimates[number, :, number] for number in range(len(estimates))], dim=1)


def _loaded(folder: Path) -> tuple[torch.nn.Module, Any]:
    model, config = _network((folder / "kind").read_text(), folder / "model.yaml")
    model.load_state_dict(torch.load(folder / "model.ckpt"))
    return model, config


def separate(folder: Path, song: Path, out: Path) -> None:
    """A song to one float32 file a stem, as each package's own program goes about it."""
    sound, rate = soundfile.read(song, dtype="float32")
    kind = (folder / "kind").read_text()
    if kind == "htdemucs":
        from demucs.apply import apply_model

        # As demucs' own command: a song to deviation 1, and back.
        wav = torch.from_numpy(sound.T)
        middle = wav.mean(0)
        mixture = (wav - middle.mean()) / (middle.std() + 1e-8)
        bag = _bag(folder)
        with torch.no_grad():
            found = apply_model(bag, mixture[None], shifts=0, split=True, overlap=0.25)[0]
        estimates = (found * (middle.std() + 1e-8)).numpy()
        stems = dict(zip(bag.sources, estimates, strict=True))
    else:
        from pymss.utils import demix

        model, config = _loaded(folder)
        stems = demix(config, model, np.ascontiguousarray(sound.T), "cpu", model_type=kind)
    out.mkdir(parents=True, exist_ok=True)
    for name, part in stems.items():
        soundfile.write(out / f"{name}.wav", part.T, rate, subtype="FLOAT")


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    if action == "make":
        make(rest[0], rest[1], Path(rest[2]))
    else:
        {"forward": forward, "separate": separate}[action](*map(Path, rest))
