"""Demucs v2 quantized by DiffQ: `{"compressed": zlib of another torch file}`.

The inner file has parameters in their order, without names: those with more values than a limit
under `quantized`, the rest under `others`. Sizes of the network follow from the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.demucs_v2.public import public_name
from unbraid.models.registry import make_config, weight_shapes
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.by_weights import System
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.quantized import unpack_state
from unbraid.zoo.public.systems import stored_of
from unbraid.zoo.public.th import read_torch_file
from unbraid.zoo.public.unpacked import unpack_bytes
from unbraid.zoo.stored import StoredModel, need_tensor

_EACH_LEVEL, _LSTM = 8, 18
"""Parameters of a level, and of the LSTM of two layers with the linear layer behind it."""


def is_compressed(content: Any) -> bool:
    """Whether a torch file holds another one, compressed."""
    return isinstance(content, dict) and isinstance(content.get("compressed"), bytes)


def open_compressed(path: Path, content: Mapping[str, Any]) -> StoredModel:
    """The Demucs in a file for which `is_compressed` holds.

    Raises:
        CheckpointError: if the compressed part is damaged, or of another network.
    """
    inside = unpack_bytes(path, content["compressed"])
    with naming(path):
        state = read_torch_file(inside)
        if not isinstance(state, dict):
            raise CheckpointError("its compressed part does not hold a quantized state")
        settings = _settings(_list(state, "quantized"), _list(state, "others"))
        system = System("demucs_v2", settings, lambda own, config: public_name(own))
        try:
            shapes = weight_shapes("demucs_v2", make_config("demucs_v2", settings))
        except SettingsError as error:
            raise CheckpointError(f"its sizes make no model: {error!s:.300}") from error
        weights = unpack_state(state, shapes, {own: public_name(own) for own in shapes})
    return stored_of(path, system, weights, Digest([path]))


def _list(state: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = state.get(key)
    if not isinstance(found, (list, tuple)):
        raise CheckpointError(f"a quantized state without its {key!r}")
    return found


def _settings(large: Sequence[Any], small: Sequence[Any]) -> dict[str, Any]:
    """Settings from the first convolution, which is small, and the number of parameters."""
    levels, rest = divmod(len(large) + len(small) - _LSTM, _EACH_LEVEL)
    first: tuple[int, ...] = need_tensor(small[0], "its first weight").shape if small else ()
    if rest or levels < 1 or len(first) != 3:
        raise CheckpointError("a quantized state of another network than Demucs v2")
    width, channels, kernel = first
    return {
        "audio_channels": channels,
        "width": width,
        "depth": levels,
        "kernel": kernel,
        "normalize_songs": True,
    }
