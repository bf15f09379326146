"""What a model in a file says about itself, for `unbraid models show PATH`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.models.registry import is_composite
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.zoo.stored import StoredModel

_LONGEST = 160
"""Letters of a line about the training; longer values are in `--json`."""


def is_file_of_model(name: str, known: Collection[str]) -> bool:
    """Whether `name` is a path rather than one of the `known` names, as for `separate -m`."""
    path = Path(name)
    return path.is_file() or (name not in known and (path.is_dir() or len(path.parts) > 1))


def facts_of_file(name: str) -> dict[str, Any]:
    """Plain facts about the model at a path, and about its members if it has them in other files.

    Raises:
        ModelError: if it is not a model, or needs public models that are not downloaded yet.
    """
    from unbraid.errors import ModelError
    from unbraid.zoo.open import cards_to_download, licence_of, open_model

    if missing := cards_to_download(name):
        names = ", ".join(card.name for card in missing)
        raise ModelError(f"{name} needs {names} first; download with unbraid models pull NAME")
    model = open_model(name)
    facts = _exported(model) if model.config is None else _facts(model)
    return {"name": name, **facts, "licence": facts["licence"] or licence_of(name)}


def _facts(model: StoredModel) -> dict[str, Any]:
    spec = model.spec
    longest = spec.longest_samples
    facts = {
        "architecture": _built_of(model.architecture, model.config),
        "stems": list(spec.stems),
        "sample_rate": spec.sample_rate,
        "channels": spec.channels,
        "segment_s": spec.segment_samples / spec.sample_rate,
        "longest_s": None if longest is None else longest / spec.sample_rate,
        "licence": model.licence or _licences(model.members.values()),
        "provenance": dict(model.provenance),
        **_file(model),
    }
    if model.members:
        facts["members"] = [
            {"name": member.path.name, "architecture": member.architecture, **_file(member)}
            for member in model.members.values()
        ]
    return facts


def _built_of(architecture: str, config: Any) -> str:
    """An architecture, and those of the networks in it."""
    if not is_composite(architecture):
        return architecture
    parts = (_built_of(part.architecture, part.config) for part in config.members.values())
    return f"{architecture} ({', '.join(dict.fromkeys(parts))})"


def _licences(members: Iterable[StoredModel]) -> str:
    """Those of all members, each with its name; "" unless all are known."""
    known = {member.path.name: member.licence for member in members}
    if not all(known.values()):
        return ""
    if len(set(known.values())) == 1:
        return next(iter(known.values()))
    return "; ".join(f"{name}: {licence}" for name, licence in known.items())


def _file(model: StoredModel) -> dict[str, Any]:
    """Size and hash; of a model in several files, the size of all of them."""
    paths = model.digest.paths
    size = sum(path.stat().st_size for path in dict.fromkeys(paths)) / 1e6
    return {"size_mb": size, "sha256": model.fingerprint() if len(paths) == 1 else None}


def _exported(model: StoredModel) -> dict[str, Any]:
    """An ONNX file of `unbraid export`, which describes itself."""
    from unbraid.engines.onnx.graph import OnnxGraph

    info = OnnxGraph(model.path).info
    length_s = info.samples / info.sample_rate
    return {
        "architecture": "a network exported to ONNX",
        "stems": list(info.stems),
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "segment_s": length_s,
        "longest_s": length_s,
        "licence": info.licence,
        "provenance": {},
        **_file(model),
    }


def card_of_file(facts: Mapping[str, Any]) -> str:
    """The facts as a card in Markdown, like those of known models."""
    channels = {1: "mono", 2: "stereo"}.get(facts["channels"])
    longest = "" if facts["longest_s"] is None else f", at most {facts['longest_s']:.4g} s"
    lines = [
        f"# {facts['name']}",
        "",
        f"- architecture: {facts['architecture']}",
        f"- stems: {', '.join(facts['stems'])}",
        f"- sample rate: {facts['sample_rate']} Hz, "
        f"{channels or counted(facts['channels'], 'channel')}",
        f"- segment: {facts['segment_s']:.4g} s{longest}",
        f"- size: {facts['size_mb']:.1f} MB",
        f"- licence of the weights: {facts['licence'] or 'not stated; ask their author'}",
        *([f"- sha256: {facts['sha256']}"] if facts["sha256"] else []),
        *(f"- member {_member(member)}" for member in facts.get("members", ())),
        *(f"- {line}" for line in _training(facts["provenance"])),
        "",
    ]
    return "\n".join(lines)


def _member(facts: Mapping[str, Any]) -> str:
    hashed = f", sha256 {facts['sha256']}" if facts["sha256"] else ""
    return f"{facts['name']}: {facts['architecture']}, {facts['size_mb']:.1f} MB{hashed}"


def _training(provenance: Mapping[str, Any]) -> Iterator[str]:
    """The origin of the weights, a line for each fact; a recipe is too long for one."""
    for key, value in provenance.items():
        name = key.replace("_", " ")
        if key == "recipe":
            yield "recipe: in the file; --json prints it"
            continue
        text = " ".join(_plain(value).split())
        yield f"{name}: {text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}"


def _plain(value: Any) -> str:
    """
    >>> _plain({"nsdr": 3.14159, "stems": ["a", "b"], "best_epoch": 3})
    'nsdr 3.142, stems a b, best epoch 3'
    """
    if isinstance(value, Mapping):
        shown = ((str(key).replace("_", " "), key) for key in value if key != "recipe")
        return ", ".join(f"{name} {_plain(value[key])}" for name, key in shown)
    if isinstance(value, (list, tuple)):
        return " ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
