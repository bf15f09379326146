"""Files of classic systems that their own packages wrote (`reference/make_classic_files.py`)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from reference.generator import uniform
from unbraid.engines.load import load_module
from unbraid.zoo.open import open_model

FILES = Path(__file__).parent.parent / "reference" / "classic_files"
OUTPUTS = np.load(FILES / "outputs.npz")
CASES = {
    "open_unmix": ("umx", ("drums", "vocals")),
    "conv_tasnet": ("convtasnet.pth", ("source 1", "source 2", "source 3")),
    "dprnn": ("dprnn.pth", ("source 1", "source 2")),
    "x_umx": ("xumx.pth", ("bass", "drums", "vocals", "other")),
    "demucs": ("demucs.th", ("drums", "bass", "other", "vocals")),
    "demucs_quantized": ("demucs_quantized.th", ("drums", "bass", "other", "vocals")),
    "demucs_unpacked": ("demucs_unpacked.th", ("drums", "bass", "other", "vocals")),
    "tasnet": ("tasnet.th", ("drums", "bass", "other", "vocals")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_of_its_own_package_gives_its_own_output(case, tmp_path, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))  # of compressed files
    file, stems = CASES[case]
    stored = open_model(FILES / file)
    assert stored.spec.stems == stems
    model = load_module(stored)
    if case == "x_umx":  # asteroid leaves the filter to the caller
        model.filter = type(model.filter)(0)
    channels, samples = stored.spec.channels, OUTPUTS[case].shape[-1]
    values = 0.4 * uniform("input", channels * 2000)
    mixture = torch.from_numpy(values).float().reshape(1, channels, 2000)
    with torch.no_grad():
        found = model(mixture)[..., :samples].numpy()
    wanted = OUTPUTS[case]
    if case == "open_unmix":
        wanted = wanted[:, ::-1]  # its package keeps the order it was given; a folder has its own
    assert np.abs(found - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())


@pytest.mark.weights
def test_a_file_of_bytesep_gives_its_own_output():
    """Too large to be stored: made by `make_classic_files.py FOLDER res_u_net`."""
    if not (made := os.environ.get("UNBRAID_RESUNET")):
        pytest.skip("UNBRAID_RESUNET names no folder")
    model = load_module(open_model(Path(made) / "resunet143_ismir2021_vocals.pth"))
    mixture = torch.from_numpy(0.4 * uniform("input", 4000)).float().reshape(1, 2, 2000)
    wanted = np.load(Path(made) / "outputs.npz")["res_u_net"]
    with torch.no_grad():
        found = model(mixture).numpy()
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
