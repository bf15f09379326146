"""Open-Unmix and X-UMX against openunmix and asteroid; the filter also against norbert."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise
from unbraid.errors import SettingsError
from unbraid.models.layers.wiener_em import WienerEM
from unbraid.models.open_unmix.config import OpenUnmixConfig
from unbraid.models.open_unmix.core import UnmixCore
from unbraid.models.open_unmix.network import OpenUnmix
from unbraid.models.open_unmix.public import public_name
from unbraid.models.x_umx import public as x_public
from unbraid.models.x_umx.config import XUMXConfig
from unbraid.models.x_umx.network import XUMX

SMALL = {"n_fft": 512, "hop": 128, "bins": 150, "hidden": 32}


@pytest.mark.parametrize(
    ("case", "config", "frames"),
    [
        ("umx_core_small", OpenUnmixConfig(**SMALL), 20),
        ("umx_core_default", OpenUnmixConfig(), 30),
    ],
)
def test_the_network_of_a_stem_computes_what_the_authors_does(case, config, frames):
    core = UnmixCore(config)
    fill(core)
    assert learnable(core) == CASES[case]["params"]
    with torch.inference_mode():
        check(case, core(noise(1, 2, config.n_fft // 2 + 1, frames, gain=1.0).abs()))


def test_umxl_has_the_published_size():
    assert learnable(UnmixCore(OpenUnmixConfig(hidden=1024))) == 28_257_188


FILTERS = {
    "umx_sep_n0": WienerEM(0),
    "umx_sep_n1": WienerEM(1),
    "umx_sep_n2w": WienerEM(2, block_frames=40),
    "umx_sep_soft": WienerEM(1, softmask=True),
    "umx_sep_res": WienerEM(1, residual=True),
}


@pytest.mark.parametrize("case", FILTERS)
def test_songs_come_apart_as_the_authors_do(case):
    model = OpenUnmix(OpenUnmixConfig(**SMALL))
    fill(model, lambda name: ".".join(public_name(name, model.config.stems)))
    model.filter = FILTERS[case]
    with torch.inference_mode():
        spectrum = model.stft(noise(1, 2, 12000))
        refined = model.filter(model.magnitudes(spectrum.abs()), spectrum)
        check(case, model.stft.inverse(refined, 12000), 3e-6)


KINDS = {
    "it0": WienerEM(0),
    "it1": WienerEM(1),
    "it2": WienerEM(2),
    "soft1": WienerEM(1, softmask=True),
    "res1": WienerEM(1, residual=True),
}


@pytest.mark.parametrize(("kind", "double"), [(k, d) for k in KINDS for d in (False, True)])
def test_the_filter_computes_what_open_unmix_does(kind, double):
    case = f"wiener{'64' * double}_{kind}"
    # The authors' π is a float32: their doubles are exact to 7e-8.
    check(case, _filtered(KINDS[kind], double), 3e-7 if double else 3e-5)


def test_the_filter_computes_what_norbert_does():
    norbert = WienerEM(1, softmask=True, block_frames=None, epsilon=torch.finfo(float).eps)
    check("norbert_wiener64_default", _filtered(norbert, double=True), 1e-8)


def _filtered(em, double):
    v = noise(7, 5, 2, 3, gain=2.0, name="v").abs()
    x = torch.view_as_complex(noise(7, 5, 2, 2, gain=40.0, name="x"))
    if double:
        v, x = v.double(), x.to(torch.cdouble)
    y = em(v.permute(3, 2, 1, 0)[None], x.permute(2, 1, 0)[None])[0]
    return torch.view_as_real(y.permute(3, 2, 1, 0).resolve_conj()).movedim(-1, -2)


def test_bridged_networks_compute_what_the_authors_do():
    config = XUMXConfig(**SMALL, wiener_iterations=0)
    model = XUMX(config)
    fill(model, lambda name: x_public.public_name(name, config.stems))
    assert learnable(model) == CASES["xumx_small_spec"]["params"] - 512  # their STFT's window
    mixture = noise(1, 2, 12000)
    with torch.inference_mode():
        magnitudes = model.magnitudes(model.stft(mixture).abs())
        check("xumx_small_spec", magnitudes.permute(1, 4, 0, 2, 3))
        check("xumx_small_time", model(mixture)[..., :11904].transpose(0, 1), 3e-6)


def test_bridges_add_no_parameters():
    assert learnable(XUMX(XUMXConfig())) == 35_573_392 == 4 * CASES["umx_core_default"]["params"]


@pytest.mark.parametrize("network", [OpenUnmix, XUMX])
@pytest.mark.parametrize("samples", [1, 256, 257, 3001])
def test_any_length_comes_back(network, samples):
    config = (XUMXConfig if network is XUMX else OpenUnmixConfig)(**SMALL)
    model = network(config).eval()
    with torch.inference_mode():
        estimates = model(noise(2, 2, samples))
    assert estimates.shape == (2, 4, 2, samples)
    assert estimates.isfinite().all()


def test_a_lone_stem_is_not_filtered():
    with pytest.raises(SettingsError, match="2 stems or more"):
        OpenUnmixConfig(stems=("vocals",))
    assert OpenUnmix(OpenUnmixConfig(stems=("vocals",), wiener_iterations=0)).spec.stems == (
        "vocals",
    )
