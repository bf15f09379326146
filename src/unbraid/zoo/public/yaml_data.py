"""Reads the YAML files of public weights as plain data: lists, tables, numbers, words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from unbraid.errors import CheckpointError

_MOST_BYTES = 256 << 10
_DEEPEST = 12
_TUPLE = "tag:yaml.org,2002:python/tuple"


class _DataLoader(yaml.SafeLoader):
    """Plain YAML, and `!!python/tuple` as a list; every other tag, anchor and alias is refused."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise CheckpointError("it uses references, which are not allowed in model settings")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != _TUPLE:
            raise CheckpointError(
                f"it has the tag {tag!r:.80}; only lists, tables, numbers and words are read, and "
                "nothing was executed"
            )
        self.depth += 1
        if self.depth > _DEEPEST:
            raise CheckpointError(f"it is nested more than {_DEEPEST} levels deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_tuple(self, node: yaml.SequenceNode) -> list[Any]:
        """A tuple of Python, as a list."""
        return self.construct_sequence(node, deep=True)


_DataLoader.add_constructor(_TUPLE, _DataLoader.construct_tuple)


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in the file at `path`.

    Raises:
        CheckpointError: if it is not readable, larger than a quarter of a megabyte, or holds
            anything except plain data.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise CheckpointError(f"it is longer than {_MOST_BYTES} bytes")
        content = yaml.load(data.decode("utf-8"), Loader=_DataLoader)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OSError, TypeError) as error:
        text = " ".join(str(error).split())
        raise CheckpointError(f"{path}: not a readable YAML file ({text:.200})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: it does not hold a table of settings")
    return content
