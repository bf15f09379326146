"""Model cards: what is known about a model before it is downloaded or loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from unbraid.cache_root import is_there
from unbraid.models.base import ModelSpec
from unbraid.models.compose.chain import ChainConfig
from unbraid.models.default import DEFAULT_MODEL
from unbraid.models.registry import Member, is_composite, make_config
from unbraid.zoo.bags import read_recipe
from unbraid.zoo.catalog import CatalogModel, load_catalog
from unbraid.zoo.chains import ChainRecipe
from unbraid.zoo.download import cache_dir
from unbraid.zoo.header import read_info

_BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model before it is loaded.

    Attributes:
        name: as `load_model` takes it.
        path: file of its weights; for a bag, the folder of its members.
        stems: names of its stems.
        licence: of the weights.
        summary: one line.
        text: the whole card, Markdown.
        size_mb: of all files, in 10^6 bytes; None if unknown before download.
        local: whether it can be loaded without a download.
        kind: "bundled", "bag" or "single".
        trained_on: its training data, in words.
        musdb_test_seen: whether the training data include MUSDB18's test set, which makes scores
            on it meaningless; None if unknown.
        segment_s: seconds of audio in one pass; None if only the file says.
        files: addresses of its files, if it is a public one.
        scores: published figures, each with the name of its benchmark.
        use: what it is recommended for.
        work: computation for a second of audio, relative to one Hybrid Demucs; 0 if unknown.
        architectures: of the networks that it is made of.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    licence: str
    summary: str
    text: str
    size_mb: float | None
    local: bool = True
    kind: str = "bundled"
    trained_on: str = ""
    musdb_test_seen: bool | None = False
    segment_s: float | None = None
    files: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    use: str = ""
    work: float = 0.0
    architectures: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = "on this machine" if self.local else "to download"
        size = "" if self.size_mb is None else f", {self.size_mb:.1f} MB"
        licence = shorten(self.licence, 60, placeholder=" …") or "licence unknown"
        return f"<ModelCard {self.name!r}: {', '.join(self.stems)}; {licence}; {where}{size}>"


def bundled_files() -> dict[str, Path]:
    """Name -> file of the models that ship with the package."""
    found = [path for path in _BUNDLED.iterdir() if path.suffix in (".safetensors", ".yaml")]
    return {path.stem: path for path in sorted(found)}


def bundled_parts(path: Path) -> list[Path]:
    """The weight files of a bundled model: the file itself, or the links of a chain."""
    if path.suffix != ".yaml":
        return [path]
    return [path.with_name(f"{name}.safetensors") for name in read_recipe(path).models]


def bundled_licence(path: Path) -> str:
    """The licence of a bundled model; for a chain, the licence of each link by its name."""
    parts = bundled_parts(path)
    if len(parts) == 1:
        return read_info(parts[0]).licence
    return "; ".join(f"{part.stem}: {read_info(part).licence}" for part in parts)


def bundled_card(path: Path) -> ModelCard:
    """The card of a bundled model, from the Markdown file next to its weights."""
    parts = bundled_parts(path)
    infos = [read_info(part) for part in parts]
    card = path.with_suffix(".md")
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    members = [
        Member(info.architecture, make_config(info.architecture, info.config)) for info in infos
    ]
    spec = _bundled_spec(path, members)
    return ModelCard(
        name=path.stem,
        path=path,
        stems=spec.stems,
        licence=bundled_licence(path),
        summary=lines[0] if lines else "",
        text=text,
        size_mb=sum(part.stat().st_size for part in parts) / 1e6,
        trained_on="; ".join(str(info.provenance.get("trained_on", "")) for info in infos),
        segment_s=spec.segment_samples / spec.sample_rate,
        use="fast, on any CPU" if path.stem == DEFAULT_MODEL else "",
        work=0.4 if path.stem == DEFAULT_MODEL else 0.0,  # measured: 15 times real time
        architectures=tuple(
            dict.fromkeys(name for member in members for name in _networks(member))
        ),
    )


def _networks(member: Member) -> Iterator[str]:
    """Architectures of the single networks that a model is made of."""
    if not is_composite(member.architecture):
        yield member.architecture
        return
    for part in member.config.members.values():
        yield from _networks(part)


def _bundled_spec(path: Path, members: list[Member]) -> ModelSpec:
    recipe = read_recipe(path) if path.suffix == ".yaml" else None
    if not isinstance(recipe, ChainRecipe):
        spec: ModelSpec = members[0].config.spec
        return spec
    return ChainConfig(tuple(members), recipe.stems).spec


def has_seen_test_set(name: str) -> bool:
    """Whether a public model is known to have been trained on MUSDB18's test set."""
    catalog = load_catalog()
    known = name in catalog.bags or name in catalog.models
    return known and public_card(name).musdb_test_seen is True


def public_card(name: str) -> ModelCard:
    """The card of a public model or bag, from the catalog."""
    catalog, folder = load_catalog(), cache_dir()
    members = catalog.members(name)
    bag = catalog.bags.get(name)
    targets = [folder / member.file_name for member in members]
    sizes = [
        target.stat().st_size / 1e6 if is_there(target) else member.size_mb
        for member, target in zip(members, targets, strict=True)
    ]
    card = ModelCard(
        name=name,
        path=folder if bag else targets[0],
        stems=(bag.stems if bag else ()) or members[0].stems,
        licence="; ".join(dict.fromkeys(member.licence for member in members)),
        summary=bag.summary if bag else f"{members[0].kind}.",
        scores=(bag.scores if bag else ()) + tuple(s for member in members for s in member.scores),
        use=bag.use if bag else members[0].use,
        work=bag.work if bag else members[0].work,
        text="",
        size_mb=None if None in sizes else sum(size for size in sizes if size is not None),
        local=all(is_there(target) for target in targets),
        kind="bag" if bag else "single",
        trained_on="; ".join(dict.fromkeys(member.trained_on for member in members)),
        musdb_test_seen=_any_seen(members),
        segment_s=bag.segment_s if bag else None,
        files=tuple(member.address for member in members),
        architectures=tuple(dict.fromkeys(member.architecture for member in members)),
    )
    return _with_text(card, members)


def _any_seen(members: list[CatalogModel]) -> bool | None:
    """Whether any member was trained on the test set; None if unknown."""
    seen = {member.musdb_test_seen for member in members}
    return True if True in seen else None if None in seen else False


def _with_text(card: ModelCard, members: list[CatalogModel]) -> ModelCard:
    seen = {
        True: "MUSDB18's test set was in its training data: scores on it are leaked.",
        False: "MUSDB18's test set was not in its training data, as its authors state.",
        None: "It is unknown whether MUSDB18's test set was in its training data.",
    }[card.musdb_test_seen]
    size = "unknown before download" if card.size_mb is None else f"{card.size_mb:.0f} MB"
    lines = [
        f"# {card.name}",
        "",
        card.summary,
        "",
        f"- stems: {', '.join(card.stems)}",
        f"- trained on: {card.trained_on}",
        f"- {seen}",
        f"- licence of the weights: {card.licence}",
        f"- size: {size}; {'in' if card.local else 'not yet in'} {card.path}",
        *([f"- segment: {card.segment_s:g} s"] if card.segment_s else []),
        *(f"- published SDR in dB, {score}" for score in card.scores),
        *([f"- work: {card.work:g} times that of one Hybrid Demucs"] if card.work else []),
        *(f"- {member.name}: {member.kind}, {member.address}" for member in members),
        "",
    ]
    return replace(card, text="\n".join(lines))
