"""The spool: a signal on disk."""

from __future__ import annotations

import numpy as np

from unbraid.tracks.spool import Spool


def test_a_spool_gives_back_what_was_put_down_in_blocks_of_any_size(tmp_path):
    signal = np.random.default_rng(0).standard_normal((3, 1000)).astype(np.float32)
    with Spool(tmp_path / "spool", 3) as spool:
        for start, stop in ((0, 1), (1, 1), (1, 700), (700, 1000)):
            spool.append(signal[:, start:stop])
    assert spool.samples == 1000
    assert spool.peak == np.abs(signal).max()
    for size in (1, 7, 999, 5000):
        np.testing.assert_array_equal(np.concatenate([*spool.blocks(size)], axis=1), signal)
