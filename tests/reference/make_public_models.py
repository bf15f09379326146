"""Renew the stored public models and their outputs. Runs where PyPI `demucs` is, not here:

    python -m venv demucs-env
    demucs-env/bin/pip install torch==2.13.0 demucs==4.1.0 diffq omegaconf
    demucs-env/bin/python tests/reference/make_public_models.py [FOLDER [NAME...]]

Small models of every variant, with weights by the deterministic generator, are saved by the public
code in each format that it can write (or that its loader takes), and what it then computes, forward
and through `apply_model` with fixed offsets, is written to `public/outputs.json` as figures and
samples. Without FOLDER only the few files that the tests need are kept, in `public/`.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from reference.generator import fill, signal

HERE = Path(__file__).parent / "public"
SOURCES = ["drums", "bass", "other", "vocals"]
SAMPLES = 40_003
RATE = 8000

SMALL = {"channels": 4, "dconv_comp": 2, "samplerate": RATE, "segment": 3}
TIME = {**SMALL, "depth": 4, "norm_groups": 2}
VARIANTS = {
    "hybrid": ("HDemucs", {**SMALL, "segment": Fraction(16, 5)}),
    "small_stft": ("HDemucs", {**SMALL, "nfft": 1024, "depth": 5}),
    "magnitude": ("HDemucs", {**SMALL, "cac": False}),
    "magnitude_old": (
        "HDemucs", {**SMALL, "cac": False, "hybrid_old": True, "norm_starts": 999}),
    "bands": (
        "HDemucs",
        {**SMALL, "multi_freqs": [0.1, 0.3], "multi_freqs_depth": 3, "norm_starts": 999}),
    "old_wiener": (
        "HDemucs", {**SMALL, "cac": False, "wiener_iters": 2, "end_iters": 2,
                    "wiener_residual": True}),
    "spectrogram": ("HDemucs", {**SMALL, "hybrid": False}),
    "spectrogram_phase": ("HDemucs", {**SMALL, "hybrid": False, "cac": False, "wiener_iters": -1}),
    "spectrogram_wiener": (
        "HDemucs", {**SMALL, "hybrid": False, "cac": False, "wiener_iters": 2}),
    "wide_time": ("HDemucs", {**SMALL, "channels_time": 8, "context_enc": 1, "freq_emb": 0}),
    "decoder_branches": ("HDemucs", {**SMALL, "dconv_mode": 3, "dconv_lstm": 2, "dconv_attn": 3}),
    "plain": ("HDemucs", {**SMALL, "dconv_mode": 0, "rewrite": False, "context": 0}),
    "undilated": ("HDemucs", {**SMALL, "dconv_depth": -2, "norm_groups": 1}),
    "mono_three": (
        "HDemucs", {**SMALL, "audio_channels": 1, "sources": ["a", "b", "c"], "cac": False,
                    "hybrid": False, "wiener_iters": 1}),
    "surround": ("HDemucs", {**SMALL, "audio_channels": 5, "sources": ["a", "b"]}),
    "time": ("Demucs", TIME),
    "time_norewrite": ("Demucs", {**TIME, "rewrite": False}),
    "time_plain": (
        "Demucs", {**TIME, "dconv_mode": 0, "gelu": False, "lstm_layers": 2, "normalize": False,
                   "norm_starts": 999}),
    "time_norate": ("Demucs", {**TIME, "resample": False, "glu": False, "context": 2}),
    "time_relu": ("Demucs", {**TIME, "gelu": False, "dconv_mode": 3, "growth": 1.5}),
    "time_both": ("Demucs", {**TIME, "rewrite": False, "dconv_mode": 3, "dconv_attn": 2}),
}  # fmt: skip
# Tiny ones whose files are kept: every format, every kind of layer.
TINY = {
    **SMALL, "channels": 2, "nfft": 256, "depth": 4, "norm_starts": 2, "norm_groups": 2,
    "dconv_lstm": 3, "dconv_attn": 3, "segment": Fraction(8, 5),
}  # fmt: skip
VARIANTS |= {
    "tiny_hybrid": ("HDemucs", TINY),
    "tiny_magnitude_old": (
        "HDemucs", {**TINY, "cac": False, "hybrid_old": True, "norm_starts": 999}),
    "tiny_bands": (
        "HDemucs", {**TINY, "multi_freqs": [0.2, 0.5], "multi_freqs_depth": 2}),
    "tiny_spectrogram": (
        "HDemucs", {**TINY, "hybrid": False, "cac": False, "wiener_iters": 1}),
    "tiny_time": ("Demucs", {**TIME, "channels": 2, "depth": 3, "lstm_layers": 1}),
}  # fmt: skip
QUANTIZED = {
    "tiny_hybrid_q": ("HDemucs", {**TINY, "dconv_mode": 3}),
    "tiny_time_q": ("Demucs", {**TIME, "channels": 2, "lstm_layers": 1, "dconv_mode": 3}),
}  # fmt: skip
BAGS = {
    "pair": {
        "models": ["tiny_hybrid", "tiny_time"],
        "weights": [[1, 1, 0, 0], [1, 0, 1, 1]],
        "segment": 2,
    },
    "trio": {"models": ["tiny_bands", "tiny_time", "tiny_bands"]},
}
SETTINGS = {
    "overlap": {"shifts": 0, "overlap": 0.25},
    "shifts": {"shifts": 2, "overlap": 0.1, "offsets": [900, 1234, 4000, 877, 2048, 999]},
    "power": {"shifts": 1, "overlap": 0.5, "transition_power": 2.0, "offsets": [1500, 10, 501]},
}
KEPT = {  # files that the tests read; the others are made again from their arguments
    "tiny_hybrid.th", "tiny_bands.safetensors", "tiny_time.th", "tiny_hybrid_q.safetensors",
    "tiny_time_q.th", "pair.yaml", "trio.yaml",
}  # fmt: skip


def build(kind, kwargs, name):
    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs

    given = {key: value for key, value in kwargs.items() if key != "sources"}
    model = {"HDemucs": HDemucs, "Demucs": Demucs}[kind](kwargs.get("sources", SOURCES), **given)
    model.load_state_dict({key: fill(key, tuple(v.shape)) for key, v in model.state_dict().items()})
    return model.eval()


def figures(y):
    """What is stored of an output: statistics, and samples spread over all of it."""
    flat = y.double().flatten()
    step = max(1, flat.numel() // 48)
    return {
        "shape": list(y.shape),
        "mean": flat.mean().item(),
        "std": flat.std().item(),
        "absmax": flat.abs().max().item(),
        "samples": [round(v, 9) for v in flat[::step][:48].tolist()],
    }


def run_all(model, channels):
    """Forward, and apply_model in each setting."""
    from demucs.apply import apply_model

    x = signal(1, channels, SAMPLES, gain=0.4)
    found = {}
    with torch.no_grad():
        if not hasattr(model, "models"):
            found["forward"] = figures(model(x))
        for name, settings in SETTINGS.items():
            given, offsets = dict(settings), list(settings.get("offsets", ()))
            given.pop("offsets", None)
            random.randint = lambda low, high, left=offsets: left.pop(0)  # the only draw it makes
            found[name] = figures(apply_model(model, x, **given))
    return found


def plain(value):
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(value)


def flatten(node, tensors):
    """A nested state as the 4.1.0 metadata describe it."""
    if isinstance(node, torch.Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = node.contiguous()
        return {"_tensor": key}
    if isinstance(node, dict):
        return {"_dict": [[key, flatten(value, tensors)] for key, value in node.items()]}
    if isinstance(node, (list, tuple)):
        kind = "_list" if isinstance(node, list) else "_tuple"
        return {kind: [flatten(value, tensors) for value in node]}
    if isinstance(node, type):
        return {"_class": f"{node.__module__}.{node.__name__}"}
    return node


def save_safetensors(path, package):
    """As `demucs.hf.load_safetensors_model` reads it, which is checked by reading it."""
    from demucs.hf import load_safetensors_model
    from safetensors.torch import save_file

    klass, tensors, metadata = package["klass"], {}, {}
    state = package["state"]
    if state.get("__quantized"):
        metadata["structure"] = json.dumps(flatten(state, tensors))
    else:
        tensors = {key: value.contiguous() for key, value in state.items()}
    metadata |= {
        "klass": f"{klass.__module__}.{klass.__name__}",
        "args": json.dumps(list(package["args"]), default=plain),
        "kwargs": json.dumps(package["kwargs"], default=plain),
    }
    save_file(tensors, path, metadata)
    return load_safetensors_model(path)


def quantizer_of(model):
    from diffq import DiffQuantizer

    quantizer = DiffQuantizer(model, group_size=8, min_size=0.0042, detect_bound=False)
    torch.manual_seed(1)
    for key, parameter in model.named_parameters():
        if "_diffq" in key:
            parameter.data.uniform_(-4, 2)  # 2 to 13 bits; diffq itself loses groups of 15
    return quantizer


def make(folder):
    from demucs.pretrained import get_model
    from demucs.states import load_model, save_with_checksum, serialize_model
    from omegaconf import OmegaConf

    training = OmegaConf.create({"dset": {"samplerate": RATE}, "seed": 42})
    outputs, deviations = {}, {}
    everything = {**VARIANTS, **QUANTIZED}
    for name in [n for n in sys.argv[2:] if n != "bags"] or everything:
        kind, kwargs = everything[name]
        model = build(kind, kwargs, name)
        quantizer = quantizer_of(model) if name in QUANTIZED else None
        package = serialize_model(model, training, quantizer)
        torch.save(package, folder / f"{name}.th")
        save_with_checksum(package, folder / f"hashed_{name}.th")
        from_th = load_model(folder / f"{name}.th").eval()
        from_st = save_safetensors(folder / f"{name}.safetensors", package).eval()
        channels = kwargs.get("audio_channels", 2)
        outputs[name] = {
            "class": kind,
            "kwargs": {**kwargs, "sources": kwargs.get("sources", SOURCES)},
            "channels": channels,
            "stored": run_all(from_th, channels),  # float16 weights, or quantized ones
        }
        x = signal(1, channels, 20_000, gain=0.4)
        with torch.no_grad():
            deviations[name] = (from_th(x) - from_st(x)).abs().max().item()
        print(name, outputs[name]["stored"]["forward"]["std"], deviations[name], flush=True)
    for name, bag in BAGS.items():
        (folder / f"{name}.yaml").write_text(bag_yaml(bag))
    for path in folder.glob("hashed_*"):
        path.rename(folder / "hashed" / path.name)
    for name in () if sys.argv[2:] and "bags" not in sys.argv[2:] else BAGS:
        outputs[name] = {"channels": 2, "stored": run_all(get_model(name, repo=folder), 2)}
        print(name, outputs[name]["stored"]["shifts"]["std"], flush=True)
    return outputs


def bag_yaml(bag):
    lines = [f"models: {bag['models']!r}"]
    lines += [f"weights: {bag['weights']!r}"] if "weights" in bag else []
    lines += [f"segment: {bag['segment']}"] if "segment" in bag else []
    return "\n".join(lines) + "\n"


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    (folder / "hashed").mkdir(parents=True, exist_ok=True)
    outputs = make(folder)
    HERE.mkdir(exist_ok=True)
    stored = HERE / "outputs.json"
    before = json.loads(stored.read_text())["models"] if stored.exists() else {}
    everything = {"samples": SAMPLES, "settings": SETTINGS, "models": before | outputs}
    stored.write_text(json.dumps(everything, default=plain) + "\n")
    for path in folder.iterdir():
        if folder != HERE and path.name in KEPT:
            (HERE / path.name).write_bytes(path.read_bytes())
    if folder == HERE:
        for path in HERE.iterdir():
            if path.is_file() and path.name not in KEPT | {"outputs.json"}:
                path.unlink()


if __name__ == "__main__":
    main()
