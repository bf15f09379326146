"""Public safetensors of demucs 4.1.0: weights, with the class and its arguments in the metadata.

Metadata are strings: `klass` is a dotted path, `args` and `kwargs` are JSON, with fractions as
objects; `structure`, for quantized models, is a JSON tree that describes how tensors are nested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.words import counted
from unbraid.zoo.hashes import check_named_hash
from unbraid.zoo.header import read_metadata, stored_tensors
from unbraid.zoo.public.package import PublicModel, class_of, naming
from unbraid.zoo.stored import StoredTensor

_MOST_LETTERS = 16 << 20


def read_public_safetensors(path: Path) -> PublicModel:
    """The contents of the file at `path`; weights are read later.

    Raises:
        CheckpointError: if it is damaged, altered, or names an unknown class.
    """
    check_named_hash(path)
    metadata = read_metadata(path)
    with naming(path):
        name = class_of(metadata.get("klass", ""))
        args = _parse(metadata.get("args", "[]"), "args", _fraction)
        kwargs = _parse(metadata.get("kwargs", "{}"), "kwargs", _fraction)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise CheckpointError("its arguments are neither a list nor a table")
        state: Mapping[str, Any] = stored_tensors(path)
        if "structure" in metadata:
            tree = _parse(metadata["structure"], "structure", None)
            state = _nest(tree, state, depth=0)
            if not isinstance(state, dict):
                raise CheckpointError("its structure is not a table of weights")
    return PublicModel(path, name, tuple(args), kwargs, state)


def _parse(text: str, what: str, hook: Callable[[dict[str, Any]], Any] | None) -> Any:
    if len(text) > _MOST_LETTERS:
        raise CheckpointError(f"its {what} have {counted(len(text), 'letter')}")
    try:
        return json.loads(text, object_hook=hook, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its {what} are not readable ({error!s:.100})") from error


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _fraction(node: dict[str, Any]) -> Any:
    if node.get("_type") != "fraction":
        return node
    numerator, denominator = node.get("numerator"), node.get("denominator")
    if type(numerator) is not int or type(denominator) is not int or denominator == 0:
        raise ValueError("not a fraction")
    return Fraction(numerator, denominator)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], (str, int))


def _nest(node: Any, tensors: Mapping[str, StoredTensor], depth: int) -> Any:
    """The state described by a tree; all its tensors are in the file."""
    if depth > 32:
        raise CheckpointError("its structure is nested too deeply")
    if isinstance(node, list):
        raise CheckpointError("its structure has a node of no known kind")
    if not isinstance(node, dict):
        return node
    if len(node) != 1:
        raise CheckpointError("its structure has a node of no known kind")
    (kind, value), deeper = next(iter(node.items())), depth + 1
    if kind == "_tensor" and isinstance(value, str) and value in tensors:
        return tensors[value]
    if kind in ("_list", "_tuple") and isinstance(value, list):
        return [_nest(item, tensors, deeper) for item in value]
    if kind == "_dict" and isinstance(value, list) and all(map(_is_pair, value)):
        return {key: _nest(item, tensors, deeper) for key, item in value}
    if kind == "_class" and value == "diffq.diffq.DiffQuantizer":
        return None  # says how it was packed; we know one way
    raise CheckpointError(
        f"its structure has a node of no known kind ({kind!r:.60}: {value!r:.60})"
    )
