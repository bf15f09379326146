"""Cutting a stream of blocks anew: nothing lost, nothing added, every block of the asked length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unbraid.audio.signal import recut


@given(st.lists(st.integers(0, 30), max_size=10), st.integers(1, 20))
def test_blocks_cut_anew_put_together_are_the_same(lengths, block_samples):
    whole = np.arange(2 * sum(lengths), dtype=np.float32).reshape(2, -1)
    blocks = np.split(whole, np.cumsum(lengths)[:-1], axis=1) if lengths else []
    cut = list(recut(blocks, 2, block_samples))
    np.testing.assert_array_equal(np.concatenate([np.empty((2, 0)), *cut], axis=1), whole)
    assert all(block.shape[1] == block_samples for block in cut[:-1])
    assert all(block.shape[1] > 0 for block in cut)


def test_no_block_shares_memory_with_another():
    first, second = recut([np.zeros((1, 4), np.float32)], 1, 2)
    first[:] = 1
    assert not second.any()
