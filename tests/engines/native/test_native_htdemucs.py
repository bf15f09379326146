"""HT Demucs in the kernels gives what the readable forward gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engines.native.networks import (
    check_bits,
    check_half_precision,
    check_memory,
    check_passes,
    make_song,
    ready,
    use_vectors_of,
    vary,
    wanted_of,
)
from unbraid.engines.native.htdemucs import NativeHTDemucs
from unbraid.engines.native.library import find
from unbraid.errors import SegmentTooLong
from unbraid.models.htdemucs.network import HTDemucs, HTDemucsConfig

pytestmark = pytest.mark.skipif(find() is not None, reason=str(find()))

SMALL: dict[str, Any] = {"width": 8, "bottleneck": 32, "heads": 4, "segment_s": 0.5}
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bottleneck, six stems": {
        "bottleneck": 0, "heads": 2, "stems": ("a", "b", "c", "d", "e", "f"),
    },
    "decoders without branches": {"residual_decoder": False},
    "cross first, odd widths, mono": {
        "cross_first": True, "width": 12, "time_width": 20, "audio_channels": 1,
        "residual_compression": 4,
    },
    "any length": {"pad_to_segment": False},
    "no scales, two layers": {"layer_scale": False, "transformer_layers": 2},
    "short frames": {"n_fft": 1024, "depth": 3},
    "no embedding": {"embedding_weight": 0},
}  # fmt: skip


def make_model(**settings: Any) -> HTDemucs:
    """With scales as large and norms as different as those of a trained one."""
    torch.manual_seed(0)
    model = HTDemucs(HTDemucsConfig(**{**SMALL, **settings})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".scale"):
                parameter.uniform_(0.05, 0.3)
    vary(model, lambda name: "norm" in name and not name.endswith(".scale"))
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_kernels_give_what_the_forward_gives(name: str) -> None:
    model = make_model(**CONFIGS[name])
    assert NativeHTDemucs.fits(model.config)
    check_memory(check_passes(model, (22_050, 9_001)), 22_050)


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_of_another_processor_give_the_same(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_vectors_of(lanes, monkeypatch)
    for settings in CONFIGS.values():
        check_passes(make_model(**settings), [9_001])


def test_threads_batches_and_what_was_before_do_not_change_a_bit() -> None:
    check_bits(make_model(), make_song(20_000, batch=2), before=22_050)


def test_silence_is_separated_like_anything_else() -> None:
    model = make_model()
    song = np.zeros((1, 2, 22_050), np.float32)
    assert np.abs(ready(model)(song) - wanted_of(model, song)).max() < 1e-6


def test_weights_may_be_half_as_precise() -> None:
    check_half_precision(make_model(width=16), make_song(22_050))


def test_a_longer_song_than_it_was_trained_on_is_refused() -> None:
    with pytest.raises(SegmentTooLong):
        ready(make_model())(make_song(22_051))


@pytest.mark.parametrize(
    "settings",
    [
        {"position": "cape"},
        {"norm_first": False},
        {"norm_in": False},
        {"norm_inner_groups": 4},
        {"gelu": False},
        {"transformer_layers": 0},
        {"norm_from": 2},
        {"gate": False},
        {"encoder_context": 1},
        {"n_fft": 2048},
    ],
)
def test_a_model_that_the_kernels_do_not_run_is_left_to_torch(settings: dict[str, Any]) -> None:
    assert not NativeHTDemucs.fits(HTDemucsConfig(**settings))


def test_memory_from_before_the_first_pass_is_used_and_changes_nothing() -> None:
    model = make_model()
    run, song = ready(model), make_song(22_050)
    wanted = run(song)
    (pool,) = pools = NativeHTDemucs.fresh_pools(model.config, 22_050, 1)
    run.use_pools(pools)
    assert np.array_equal(run(song), wanted)
    assert run._copies[0]._pool is pool
    assert pool.missed == 0


def test_songs_side_by_side_share_threads_and_memory_and_come_out_the_same() -> None:
    model = make_model()
    alone, together = ready(model), ready(model, threads=3)
    songs = make_song(22_050, batch=5)
    wanted = np.concatenate([alone(song[None]) for song in songs])
    assert np.array_equal(together(songs), wanted)
    assert [network.threads for network in together._copies] == [2, 1, 1]  # of the last two songs
    assert all(network._pool.missed == 0 for network in together._copies)


def test_only_so_many_songs_go_side_by_side_as_take_little_memory() -> None:
    config, second = HTDemucsConfig(), 44_100
    assert NativeHTDemucs.at_once(config, second, threads=1) == 1
    assert NativeHTDemucs.at_once(config, second, threads=2) == 2
    many = NativeHTDemucs.at_once(config, 7 * second, threads=64)
    assert 2 <= many < 64
    assert (many - 1) * NativeHTDemucs.memory_bytes(config, 7 * second) <= 400e6
