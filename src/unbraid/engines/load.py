"""Stored models made ready: each by the engine that runs it, composites of such members."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.engines.choose import (
    choose,
    engine_words,
    kernels_missing,
    torch_is_missing,
    would_run_faster,
)
from unbraid.errors import ModelError
from unbraid.models.base import SeparationModel
from unbraid.models.compose.composite import engines_of
from unbraid.models.default import DEFAULT_MODEL
from unbraid.models.registry import composite_class, is_composite
from unbraid.zoo.open import cards_to_download, open_model
from unbraid.zoo.stored import StoredModel

if TYPE_CHECKING:
    from unbraid.zoo.transfer import OnDownload

Load = Callable[[StoredModel], Any]


def load_model(
    name: str | Path = DEFAULT_MODEL,
    device: str = "cpu",
    *,
    config: str | Path | None = None,
    on_download: OnDownload | None = None,
) -> Any:
    """Load a model by name or path, without ever executing code from a file.

    A public model that is not in the cache is fetched first; the log "unbraid" has a line of it,
    and `on_download` is called with the progress.

    Args:
        name: a name that `list_models` knows; or a file, a folder, or a name in a folder.
        device: where to put it, as torch names devices.
        config: the YAML for a file of plain weights, if it is not next to the file.
        on_download: called as `(file, bytes there, bytes in all or None)`.
    Returns:
        the whole model, which takes (b c t) and returns (b s c t), arrays or tensors alike: where
        torch is installed a module of torch, float32, in evaluation mode; else what runs it without
        torch. Of a bag a `Bag`, whose members are loaded one at a time, when their turn comes.
    Raises:
        UnknownModel: if no model has that name.
        ModelError: if it is a public one that cannot be fetched; says what to fetch from where. If
            no engine would run it here, nothing is fetched.
        CheckpointError: if its file is damaged, altered or refused.
    """
    _refuse_download(name, device)
    return load_module(open_model(name, config=config, on_download=on_download), device)


def load_module(stored: StoredModel, device: str = "cpu") -> Any:
    """A stored model as a torch module; ready to run if it cannot be one."""
    if stored.members:  # in files of their own
        members = _Loaded(stored, lambda member: load_module(member, device))
        composed = composite_class(stored.architecture)
        return composed.of(
            stored.config, members, device=device, engine="torch", fingerprint=stored.fingerprint
        )
    if stored.config is None or importlib.util.find_spec("torch") is None:
        return load(stored, device)
    from unbraid.engines.torch.build import build_module

    return build_module(stored).to(device)


def load_to_run(
    name: str | Path,
    device: str = "cpu",
    precision: str = "auto",
    *,
    config: str | Path | None = None,
    on_download: OnDownload | None = None,
) -> SeparationModel:
    """As `load_model`, but by whatever runs the model fastest there.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
        ModelError: if no engine runs it; before anything is downloaded, if that can be known.
    """
    _refuse_download(name, device, precision)
    stored = open_model(name, config=config, on_download=on_download)
    if stored.architecture != "bag":
        stored.digest.start()  # in parallel with the packing, which reads the same bytes
    return load(stored, device, precision)


def load(stored: StoredModel, device: str = "cpu", precision: str = "auto") -> SeparationModel:
    """A stored model, ready to run by the engine that fits it; a composite by its members' engines.

    Raises:
        SettingsError: if UNBRAID_RUNTIME asks for an engine that cannot run here.
        ModelError: if no engine runs it.
        CheckpointError: if its weights do not fit its config.
    """
    if is_composite(stored.architecture):
        members = _Loaded(stored, lambda member: load(member, device, precision))
        composed: SeparationModel = composite_class(stored.architecture).of(
            stored.config,
            members,
            device=device,
            engine=describe_engines(stored, device, precision),
            fingerprint=stored.fingerprint,
        )
        return composed
    engine, _ = choose(stored, device, precision)
    return engine.load(stored, device, precision, engine_words(stored, device, precision))


def _refuse_download(name: str | Path, device: str, precision: str = "auto") -> None:
    """Refuse public models that are not here yet and that no engine would run."""
    for card in cards_to_download(name):
        lacking = torch_is_missing(card.architectures, device, precision)
        if lacking is not None:
            raise ModelError(
                f"{card.name} is not downloaded, as no engine would run it here: {lacking}"
            )


def describe_engines(stored: StoredModel, device: str, precision: str) -> str:
    """What runs a model, or the members of one made of models, in words; each engine once."""
    if not is_composite(stored.architecture):
        return engine_words(stored, device, precision)
    members = [stored.member(name) for name in stored.config.members]
    return engines_of(describe_engines(member, device, precision) for member in members)


def missing_kernels(
    name: str | Path, device: str, precision: str, *, config: str | Path | None = None
) -> str | None:
    """Why a model runs slower here than it would with the compiled kernels; None if it does not.

    Raises:
        ModelError, CheckpointError: as `load_model`.
    """
    missing = kernels_missing(device, precision)
    if missing is None:  # the usual case, in which the model is not opened again
        return None
    found = _leaves(open_model(name, config=config))
    return missing if any(would_run_faster(each, device, precision) for each in found) else None


def kernels_note(
    name: str | Path, device: str, precision: str, *, config: str | Path | None = None
) -> str | None:
    """`missing_kernels` as a line for people who wait for the model."""
    missing = missing_kernels(name, device, precision, config=config)
    if missing is None:
        return None
    return (
        f"{missing}, so separating takes up to twice the time; with a C++ compiler installed, "
        "installing unbraid again builds the kernels"
    )


def _leaves(stored: StoredModel) -> Iterator[StoredModel]:
    """The single models that a model is made of."""
    if not is_composite(stored.architecture):
        yield stored
        return
    for name in stored.config.members:
        yield from _leaves(stored.member(name))


class _Loaded(Mapping[str, Any]):
    """The members of a composite, each loaded on demand; none is kept."""

    def __init__(self, stored: StoredModel, load: Load) -> None:
        self._stored, self._load = stored, load

    def __getitem__(self, name: str) -> Any:
        return self._load(self._stored.member(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored.config.members)

    def __len__(self) -> int:
        return len(self._stored.config.members)
