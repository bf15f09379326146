"""Who hears what, in which order: random, but each rater hears all systems and stems alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

Item = tuple[str, str, int]
"""An excerpt: track, stem, number."""


def pool_of(items: Sequence[Item], size: int, rng: np.random.Generator) -> list[Item]:
    """A random choice of about `size` excerpts, as many of each stem; all where there are fewer.

    >>> len(pool_of([("t", s, n) for s in "ab" for n in range(9)], 5, np.random.default_rng(0)))
    6
    """
    stems = sorted({item[1] for item in items})
    each = -(-size // len(stems))
    chosen: list[Item] = []
    for stem in stems:
        fitting = [item for item in items if item[1] == stem]
        chosen += [fitting[k] for k in sorted(rng.permutation(len(fitting))[:each])]
    return chosen


def single_playlists(
    items: Sequence[Item],
    systems: Sequence[str],
    samples: int,
    raters: int,
    rng: np.random.Generator,
) -> list[list[tuple[Item, str]]]:
    """For each rater, `samples` of (excerpt, system) in random order.

    Each rater gets every system as often as every other, give or take one, and the stems within a
    system likewise; of the excerpts that fit, those heard least so far come first. A rater hears
    an excerpt again, of another system, only when all of its stem have been heard.

    Args:
        items: excerpts to draw from.
        systems: names, the hidden reference among them.
        samples: for each rater; fewer if the study has fewer.
        raters: playlists to draw.
        rng: source of chance.
    """
    heard: Counter[tuple[Item, str]] = Counter()
    stems = sorted({item[1] for item in items})
    playlists = []
    for _ in range(raters):
        chosen: list[tuple[Item, str]] = []
        met: Counter[Item] = Counter()
        for system, stem in _cells(systems, stems, min(samples, len(items) * len(systems)), rng):
            taken = set(chosen)
            left = [i for i in items if (i, system) not in taken]
            if not left:
                continue
            open_items = [i for i in left if i[1] == stem] or left
            order = rng.permutation(len(open_items))
            best = min(order, key=lambda k: (met[open_items[k]], heard[(open_items[k], system)]))
            item = open_items[best]
            met[item] += 1
            heard[(item, system)] += 1
            chosen.append((item, system))
        playlists.append([chosen[k] for k in rng.permutation(len(chosen))])
    return playlists


def side_by_side_playlists(
    items: Sequence[Item], samples: int, raters: int, rng: np.random.Generator
) -> list[list[Item]]:
    """For each rater, `samples` excerpts in random order; those shown least so far come first."""
    shown: Counter[Item] = Counter()
    playlists = []
    for _ in range(raters):
        order = rng.permutation(len(items))
        picked = sorted(order, key=lambda k: shown[items[k]])[: min(samples, len(items))]
        shown.update(items[k] for k in picked)
        playlists.append([items[picked[k]] for k in rng.permutation(len(picked))])
    return playlists


def _cells(
    systems: Sequence[str], stems: Sequence[str], samples: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    """`samples` pairs of system and stem, as even as can be."""
    rounds = -(-samples // len(systems))
    columns = {}
    for system in systems:
        order: list[str] = []
        while len(order) < rounds:
            order += [stems[k] for k in rng.permutation(len(stems))]
        columns[system] = order
    cells: list[tuple[str, str]] = []
    for number in range(rounds):
        cells += [(systems[k], columns[systems[k]][number]) for k in rng.permutation(len(systems))]
    return cells[:samples]
