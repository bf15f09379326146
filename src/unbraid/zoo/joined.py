"""Models of single stems, each in a file of its own, opened as one model.

per_stem: [vocals, drums, bass, other]   names of files in the same folder
wiener: 1                                iterations of a Wiener filter behind them; 0 for none

A folder with a file for each stem, named after it (vocals.pth, drums-9619578f.pth, ...), opens
likewise. Networks of Open-Unmix become one Open-Unmix, with its own filter of one iteration unless
`wiener` says otherwise; those of KUIELAB-MDX-Net become one with the mixer that is with them; all
others are joined by `models/compose/per_stem.py`, without a filter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, ModelError, SettingsError
from unbraid.models.compose.per_stem import MOST_MODELS, PerStemConfig
from unbraid.models.compose.wiener import WienerConfig
from unbraid.models.registry import Member
from unbraid.zoo.chains import NAME
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.systems import MIXER
from unbraid.zoo.stored import Renamed, StoredModel, StoredTensor

UNMIX, MDX = "open_unmix", "mdx_net"
_MIXED = ("bass", "drums", "other", "vocals")
"""Stems in the order of the published mixers."""


@dataclass(frozen=True)
class JoinedRecipe:
    """What a joined model is made of.

    Attributes:
        models: names, in the order of the stems.
        wiener: iterations of a Wiener filter; None: one for Open-Unmix, none for others.
    """

    models: tuple[str, ...]
    wiener: int | None = None


def joined_recipe(content: Mapping[Any, Any]) -> JoinedRecipe:
    """The recipe in a parsed YAML.

    Raises:
        CheckpointError: if it holds anything that does not belong to a joined model.
    """
    if unknown := sorted(str(key) for key in content.keys() - {"per_stem", "wiener"}):
        raise CheckpointError(
            f"a joined model has per_stem and may have wiener, nothing else; got {unknown[0]!r:.80}"
        )
    names, times = content["per_stem"], content.get("wiener")
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_MODELS:
        raise CheckpointError(f"per_stem is a list of 1 to {MOST_MODELS} names")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise CheckpointError(f"{name!r:.80} is not a model name")
    if times is not None and (not str(times).isdecimal() or int(times) > 1000):
        raise CheckpointError(f"wiener is a number of iterations, 0 to 1000, got {times!r:.80}")
    return JoinedRecipe(tuple(names), None if times is None else int(times))


def join_models(
    where: str | Path, models: Sequence[StoredModel], wiener: int | None = None
) -> StoredModel:
    """Models of different stems as one.

    Args:
        where: what it is opened by, for messages.
        models: in the order of the stems.
        wiener: as in `JoinedRecipe`.
    Raises:
        CheckpointError: if they do not go together.
    """
    paths = tuple(dict.fromkeys(path for model in models for path in model.digest.paths))
    licence = "; ".join(dict.fromkeys(model.licence for model in models if model.licence))
    try:
        architecture, config, weights = _joined(models, wiener)
    except (ModelError, SettingsError) as error:
        raise CheckpointError(f"{where}: {error}") from error
    return StoredModel(
        architecture, config, weights, Path(where), Digest(paths, (config,)), licence=licence
    )


def _joined(
    models: Sequence[StoredModel], wiener: int | None
) -> tuple[str, Any, Mapping[str, StoredTensor]]:
    """Architecture, config and weights of the whole."""
    mixers = [model for model in models if model.architecture == MIXER]
    models = [model for model in models if model.architecture != MIXER]
    if any(model.config is None or model.members for model in models):
        raise ModelError("exported models, and models made of several files, are not joined")
    if mixers:
        return _one_mdx_net(models, mixers, wiener)
    if (unmix := _one_unmix(models, 1 if wiener is None else wiener)) is not None:
        parts = [
            Renamed(model.weights, removed="nets.0.", added=f"nets.{index}.")
            for index, model in enumerate(models)
        ]
        return UNMIX, unmix, Together(parts)
    config: Any = PerStemConfig(tuple(Member(m.architecture, m.config) for m in models))
    if not wiener:
        parts = [Renamed(model.weights, added=f"{i}.") for i, model in enumerate(models)]
        return "per_stem", config, Together(parts)
    parts = [Renamed(model.weights, added=f"model.{i}.") for i, model in enumerate(models)]
    return "wiener", WienerConfig(Member("per_stem", config), wiener), Together(parts)


def _one_unmix(models: Sequence[StoredModel], wiener: int) -> Any:
    """The config of one Open-Unmix, if these are the networks of its stems; else None."""
    if len(models) < 2 or {model.architecture for model in models} != {UNMIX}:
        return None
    stems = tuple(stem for model in models for stem in model.config.stems)
    changes = {"stems": stems, "wiener_iterations": wiener}
    made = {dataclasses.replace(model.config, **changes) for model in models}
    return made.pop() if len(made) == 1 and len(stems) == len(models) else None


def _one_mdx_net(
    models: Sequence[StoredModel], mixers: Sequence[StoredModel], wiener: int | None
) -> tuple[str, Any, Mapping[str, StoredTensor]]:
    """One KUIELAB-MDX-Net of its networks and their mixer."""
    if len(mixers) > 1 or wiener or {model.architecture for model in models} != {MDX}:
        raise ModelError("one mixer belongs to networks of KUIELAB-MDX-Net, without a filter")
    if sorted(model.config.stems for model in models) != [(stem,) for stem in _MIXED]:
        raise ModelError(f"a mixer belongs to the four networks {', '.join(_MIXED)}")
    models = sorted(models, key=lambda model: model.config.stems)
    changes = {
        "stems": _MIXED,
        "n_ffts": tuple(size for model in models for size in model.config.n_ffts),
        "mixer": True,
    }
    made = {dataclasses.replace(model.config, **changes) for model in models}
    if len(made) > 1:
        raise ModelError(
            "the four networks of this mixer differ in more than their STFT (those of leaderboard "
            "B do): they run without the mixer, from a folder without it"
        )
    config, (mixer,) = made.pop(), mixers
    outputs = len(_MIXED) * config.audio_channels
    if mixer.weights["mixer.weight"].shape != (outputs, outputs + config.audio_channels):
        raise ModelError("a mixer for other numbers of stems and channels")
    parts = [
        Renamed(model.weights, removed="nets.0.", added=f"nets.{index}.")
        for index, model in enumerate(models)
    ]
    return MDX, config, Together([*parts, mixer.weights])


class Together(Mapping[str, StoredTensor]):
    """The weights of several models, whose names differ."""

    def __init__(self, parts: Sequence[Mapping[str, StoredTensor]]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> StoredTensor:
        for part in self._parts:
            try:
                return part[name]
            except KeyError:
                continue
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part

    def __len__(self) -> int:
        return sum(map(len, self._parts))
