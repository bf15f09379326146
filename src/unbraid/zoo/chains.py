"""Chains in files: a YAML that lists models in order, with the stems taken from each.

chain:
- model: quartet          a name of `unbraid models`, or of a file in the same folder
  stems: [vocals]
- model: mdx              gets the song without those vocals; all its stems are taken
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.models.compose.chain import MOST_LINKS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""The form of a model name in a file; paths do not match."""


@dataclass(frozen=True)
class ChainRecipe:
    """The links of a chain.

    Attributes:
        models: names of its links, in order.
        stems: for each link, the stems taken from it; empty for all.
    """

    models: tuple[str, ...]
    stems: tuple[tuple[str, ...], ...]


def chain_recipe(content: dict[Any, Any]) -> ChainRecipe:
    """The recipe in a parsed YAML.

    Raises:
        CheckpointError: if it holds anything that does not belong to a chain.
    """
    if unknown := sorted(str(key) for key in content.keys() - {"chain"}):
        raise CheckpointError(f"a chain has links and nothing else, got {unknown[0]!r:.80}")
    links = content["chain"]
    if not isinstance(links, list) or not 1 <= len(links) <= MOST_LINKS:
        raise CheckpointError(f"a chain is a list of 1 to {MOST_LINKS} links")
    models, stems = zip(*map(_link, links), strict=True)
    if not all(stems[:-1]):
        raise CheckpointError(
            "every link except the last lists the stems taken from it, such as stems: [vocals]"
        )
    return ChainRecipe(models, stems)


def _link(content: Any) -> tuple[str, tuple[str, ...]]:
    if not isinstance(content, dict) or not {"model"} <= content.keys() <= {"model", "stems"}:
        raise CheckpointError("a link of a chain has a model, and may have stems")
    model, stems = content["model"], content.get("stems", [])
    if not isinstance(model, str) or not NAME.fullmatch(model):
        raise CheckpointError(f"{model!r:.80} is not a model name")
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise CheckpointError(f"the stems of {model} are a list of names")
    return model, tuple(stems)
