"""Renew the stored files of classic systems whose code is a repository, and what they give.

Code and environment of each system, and its command:

    kuielab/mdx-net@bbd46db, torch==2.13.0 onnx onnxscript onnxruntime pytorch-lightning

        python tests/reference/make_repository_files.py mdx_net CHECKOUT

    francesclluis/source-separation-wavenet@c80bb53, tensorflow-cpu==2.15.1 "numpy<2" h5py

        python tests/reference/make_repository_files.py wavenet CHECKOUT

    f90/Wave-U-Net@75eeae6, the same environment

        python tests/reference/make_repository_files.py wave_u_net CHECKOUT

    facebookresearch/demucs@dcee007 (version 1), torch==2.13.0 tqdm

        python tests/reference/make_repository_files.py demucs_v1 CHECKOUT

Small networks with random weights are saved by the authors' own code, which also computes what
they make of a deterministic input. Modules that this code imports and does not need here are empty.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def stand_in(name: str, **members: Any) -> None:
    """A module with these members alone."""
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


if importlib.util.find_spec("torch") is None:
    stand_in("torch", Tensor=None)
sys.path.insert(0, str(Path(__file__).parent.parent))
from reference.generator import uniform  # noqa: E402  it imports torch, and does not need it here

HERE = Path(__file__).parent / "classic_files"


def mixture(channels: int, samples: int) -> np.ndarray:
    """(channels, samples), float32."""
    values = 0.4 * uniform("input", channels * samples)
    return values.astype(np.float32).reshape(channels, samples)


# --- KUIELAB-MDX-Net: graphs in ONNX ------------------------------------------------------------

SMALL = {"dim_f": 32, "dim_t": 16, "n_fft": 128, "hop_length": 32, "num_blocks": 5, "g": 3, "l": 2,
         "bn": 4}  # fmt: skip
ONE = {**SMALL, "num_blocks": 3, "g": 2, "l": 1, "bn": 0}
"""One layer along frequency in place of two, with a bias."""
FLAT = {"dim_f": 2048, "dim_t": 12, "hop_length": 1024, "num_blocks": 3, "g": 2, "l": 1,
        "bn": None}  # fmt: skip
"""Without layers along frequency: tiny, and yet as many bins as in the published ones."""
N_FFTS = {"bass": 16384, "drums": 4096, "other": 8192, "vocals": 6144}


def mdx_net() -> None:
    """mdx/STEM.onnx with its settings, mdx/flat/STEM.onnx without, and a mixer for these."""
    import pytorch_lightning  # noqa: F401  before the empty modules: it looks for the real ones
    import torch

    stand_in("omegaconf", OmegaConf=None)
    stand_in("src.utils.utils", sdr=None)
    stft, istft = torch.stft, torch.istft
    torch.stft = lambda *a, **k: torch.view_as_real(stft(*a, **{**k, "return_complex": True}))
    torch.istft = lambda z, *a, **k: istft(torch.view_as_complex(z.contiguous()), *a, **k)
    from src.callbacks.onnx_callback import MakeONNXCallback
    from src.models.mdxnet import ConvTDFNet, Mixer

    folder = HERE / "mdx"
    (folder / "flat").mkdir(parents=True, exist_ok=True)
    export = torch.onnx.export
    torch.onnx.export = lambda *a, **k: export(*a, **k, dynamo=False)  # the exporter of its time
    outputs = {}

    def save(path: Path, stem: str, settings: dict[str, Any]) -> np.ndarray:
        net = ConvTDFNet(
            target_name=stem, lr=0, optimizer="rmsprop", dim_c=4, k=3, bias=settings is ONE,
            overlap=settings["n_fft"] // 2, ckpt=None, **settings,
        )  # fmt: skip
        shake(net)
        net.ckpt = None  # the callback reads every argument
        MakeONNXCallback(f"{path.parent}/").on_save_checkpoint(_Trainer(), net, {})
        (path.parent / f"epoch_0/{stem}.onnx").rename(path)
        (path.parent / "epoch_0").rmdir()
        mixed = torch.from_numpy(mixture(2, net.chunk_size))[None]
        with torch.no_grad():
            return net.eval().istft(net(net.stft(mixed)))[0].numpy()

    for stem, settings in (("vocals", SMALL), ("bass", ONE)):
        outputs[stem] = save(folder / f"{stem}.onnx", stem, settings)
        (folder / f"{stem}.yaml").write_text(
            f"_target_: src.models.mdxnet.ConvTDFNet\n\ntarget_name: '{stem}'\n"
            + "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
        )
    flat = [
        save(folder / "flat" / f"{stem}.onnx", stem, {**FLAT, "n_fft": n_fft})
        for stem, n_fft in N_FFTS.items()
    ]
    mixer = Mixer.__new__(Mixer)
    torch.nn.Module.__init__(mixer)
    mixer.linear = torch.nn.Linear(10, 8, bias=False)
    torch.save({"linear.weight": mixer.linear.weight.detach()}, folder / "flat" / "mixer.ckpt")
    mixer.mixing_layer, mixer.dim_s, mixer.chunk_size = mixer.linear, 4, flat[0].shape[-1]
    heard = np.stack([*flat, mixture(2, mixer.chunk_size)])
    with torch.no_grad():
        outputs["mixed"] = mixer(torch.from_numpy(heard)[None])[0].numpy()[..., ::32]
    np.savez_compressed(folder / "outputs.npz", **outputs)


class _Trainer:
    """What the callback asks of a trainer: nothing."""


def shake(net: Any) -> None:
    """Leave no weight or statistic as it starts."""
    import torch

    torch.manual_seed(11)
    for name, value in net.state_dict().items():
        if value.is_floating_point() and name not in ("window", "freq_pad"):
            value.add_(0.1 * torch.rand_like(value))
    net.eval()


# --- The WaveNet of Lluís et al.: Keras's HDF5, with the state of the optimizer ------------------


def wavenet() -> None:
    """wavenet/multi.hdf5 and voice.hdf5, after a step of training.

    The code is for Python 2 and the Keras of 2018: it is translated, and the names that Keras
    dropped since are put back.
    """
    import keras
    import tensorflow as tf

    keras.engine = types.SimpleNamespace(Input=keras.Input, Model=keras.Model)
    keras.optimizers.Adam = keras.optimizers.legacy.Adam
    folder = HERE / "wavenet"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("scipy", "scipy.signal", "scipy.stats", "soundfile"):
        stand_in(name)
    checkout = Path(sys.argv[2])
    for name in ("util", "layers", "models"):
        stand_in(name)
        exec(_translated(checkout / f"{name}.py"), sys.modules[name].__dict__)
    sys.modules["layers"].Slice.get_config = lambda self: {"name": self.name}
    outputs = {}
    for name, kind, count, stacks in (
        ("multi", "MultiInstrumentSeparationWavenet", 3, 2),
        ("voice", "SingingVoiceSeparationWavenet", 2, 1),
    ):
        tf.random.set_seed(5)
        keras.backend.clear_session()
        config = json.loads((checkout / "config_multi_instrument.json").read_text())
        config["training"]["path"] = f"/tmp/{name}-{count}"
        model = config["model"]
        model |= {"dilations": 1, "num_stacks": stacks, "target_field_length": 101}
        model["filters"]["depths"] = {"res": 4, "skip": 5, "final": [7, 6]}
        net = getattr(sys.modules["models"], kind)(config)
        heard = mixture(1, net.input_length)
        wanted = [0.1 * heard[:, :103]] * count
        net.model.train_on_batch(heard, wanted)
        net.model.save(folder / f"{name}.hdf5")
        outputs[name] = np.concatenate(net.model.predict_on_batch(heard))
    np.savez_compressed(folder / "outputs.npz", **outputs)


def _translated(path: Path) -> str:
    """A module of Python 2 for Python 3; its whole numbers stay whole when they are halved."""
    from lib2to3 import refactor

    tool = refactor.RefactoringTool(refactor.get_fixers_from_package("lib2to3.fixes"))
    text = str(tool.refactor_string(path.read_text() + "\n", str(path)))
    return text.replace("_length / 2\n", "_length // 2\n").replace("(filter_length-1)/2", "1")


# --- Wave-U-Net: TensorFlow 1 checkpoints, with the state of the optimizer -----------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "baseline_stereo": {"source_names": ["accompaniment", "vocals"]},
    "full_44KHz": {"source_names": ["accompaniment", "vocals"], "upsampling": "learned"},
    "full_multi_instrument": {"source_names": ["bass", "drums", "other", "vocals"]},
}
"""Published files, by the name of their settings."""


def wave_u_net() -> None:
    """wave_u_net/NAME-1.index and its data, after a step of training as in their Training.py."""
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    tf.diag = tf.linalg.diag  # a name that TensorFlow dropped
    sys.modules["tensorflow"] = tf
    stand_in("librosa")
    from Models.UnetAudioSeparator import UnetAudioSeparator

    folder = HERE / "wave_u_net"
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name, variant in VARIANTS.items():
        tf.reset_default_graph()
        tf.set_random_seed(6)
        settings = {
            "num_layers": 3, "num_initial_filters": 3, "filter_size": 5, "merge_filter_size": 3,
            "input_filter_size": 5, "output_filter_size": 1, "upsampling": "linear",
            "output_type": "difference", "context": True, "mono_downmix": False,
            "output_activation": "tanh", **variant,
        }  # fmt: skip
        net = UnetAudioSeparator(settings)
        taken, _ = net.get_padding([1, 100, 2])
        heard = tf.placeholder(tf.float32, taken)
        estimates = net.get_output(heard, False, reuse=False)
        loss = sum(tf.reduce_mean(tf.square(one - 0.1)) for one in estimates.values())
        step = tf.get_variable(
            "global_step",
            [],
            initializer=tf.constant_initializer(0),
            trainable=False,
            dtype=tf.int64,
        )
        with tf.variable_scope("separator_solver"):
            solver = tf.train.AdamOptimizer(learning_rate=0.01)
            train = solver.minimize(loss, var_list=tf.trainable_variables("separator"))
        song = mixture(2, int(taken[1])).T[None]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run([train, step.assign_add(1)], {heard: song})
            saver = tf.train.Saver(tf.global_variables())
            saver.save(session, str(folder / name), global_step=1, write_meta_graph=False)
            found = session.run(estimates, {heard: song})
        outputs[name] = np.stack([found[stem][0].T for stem in settings["source_names"]])
    (folder / "checkpoint").unlink()
    np.savez_compressed(folder / "outputs.npz", **outputs)


# --- Demucs v1, quantized ------------------------------------------------------------------------


def demucs_v1() -> None:
    """demucs_v1/demucs.th.gz: 256 values a weight, and compressed, as torch saved it in 2019."""
    import functools

    import torch

    save = torch.save
    torch.save = functools.partial(save, _use_new_zipfile_serialization=False)
    from demucs.model import Demucs
    from demucs.utils import apply_model, save_model
    from quantize import quantize

    folder = HERE / "demucs_v1"
    folder.mkdir(parents=True, exist_ok=True)
    model = Demucs(4, channels=4, depth=2)
    shake(model)
    for weight in model.parameters():
        weight.data[:] = quantize(weight.data)
    save_model(model, folder / "demucs.th.gz")
    found = apply_model(model, torch.from_numpy(mixture(2, 2000)))
    np.savez_compressed(folder / "outputs.npz", demucs=found.numpy())


MAKERS: dict[str, Callable[[], None]] = {
    "mdx_net": mdx_net,
    "wavenet": wavenet,
    "wave_u_net": wave_u_net,
    "demucs_v1": demucs_v1,
}


def main() -> None:
    name, checkout = sys.argv[1:]
    sys.path.insert(0, checkout)
    MAKERS[name]()


if __name__ == "__main__":
    main()
