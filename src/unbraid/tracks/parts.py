"""Which parts of a song are written: stems, sums of stems, and what closes their sum."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unbraid.audio.stem_file import STEMS
from unbraid.errors import SettingsError
from unbraid.tracks.settings import OutputSettings

TOGETHER = "stems"
"""Name of the one file that holds all parts."""
_USUAL_ORDER = ("drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Parts:
    """What is written of one model's estimates.

    Attributes:
        stems: what is summed and scaled: stems of the model, or sums of them under one name.
        sources: the stems of the model that are needed for them, in the model's order.
        indices: where those stand in the model's estimates.
        sums: for each of `stems`, which of `sources` it is the sum of, by place.
        closing: name of the part that closes the sum to the input; None if there is none.
        written: which of the stems and the closing part are written.
        together: name of the one file that holds all of `written`; None where each has its own.
        complete: whether the written parts are meant to add up to the input.
    """

    stems: tuple[str, ...]
    sources: tuple[str, ...]
    indices: tuple[int, ...]
    sums: tuple[tuple[int, ...], ...]
    closing: str | None
    written: tuple[str, ...]
    together: str | None
    complete: bool

    @property
    def all(self) -> tuple[str, ...]:
        """The stems and the closing part, which comes last."""
        return self.stems if self.closing is None else (*self.stems, self.closing)

    @property
    def names(self) -> tuple[str, ...]:
        """The sound files to be."""
        return self.written if self.together is None else (self.together,)


def choose_parts(output: OutputSettings, model_stems: Sequence[str]) -> Parts:
    """Which parts `output` asks of a model with these stems.

    Raises:
        SettingsError: for a stem that the model does not have, or parts that do not go together.
    """
    known = dict(_grouped(output, model_stems))
    asked = (output.two_stems,) if output.two_stems is not None else output.stems
    for stem in asked or ():
        _check_known(stem, list(known))
    stems = tuple(s for s in known if asked is None or s in asked)
    closing = _closing(output, stems)
    used = {member for stem in stems for member in known[stem]}
    sources = tuple(s for s in model_stems if s in used)
    everything = stems if closing is None else (*stems, closing)
    written = _written(output, everything)
    covers = closing is not None or len(used) == len(model_stems)
    return Parts(
        stems=stems,
        sources=sources,
        indices=tuple(model_stems.index(s) for s in sources),
        sums=tuple(tuple(sources.index(m) for m in known[s]) for s in stems),
        closing=closing,
        written=written,
        together=TOGETHER if output.is_one_file else None,
        complete=covers and len(written) == len(everything) and output.loudness_of != "stems",
    )


def _grouped(
    output: OutputSettings, model_stems: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each part and the stems it is made of; a group stands where its first member stood."""
    group_of: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, members in output.groups:
        for member in members:
            _check_known(member, model_stems)
            if member in group_of:
                raise SettingsError(f"the stem {member!r} is in two groups; a stem can be in one")
            group_of[member] = name, members
        if name in model_stems and name not in members:
            raise SettingsError(f"the model has a stem of its own named {name!r}")
    done = set()
    for stem in model_stems:
        name, members = group_of.get(stem, (stem, (stem,)))
        if name not in done:
            done.add(name)
            yield name, tuple(s for s in model_stems if s in members)


def _check_known(stem: str, stems: Sequence[str]) -> None:
    if stem not in stems:
        near = difflib.get_close_matches(stem, stems, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"this model has no stem {stem!r}, it has {', '.join(stems)}{hint}")


def _closing(output: OutputSettings, stems: Sequence[str]) -> str | None:
    closing = None
    if output.two_stems is not None:
        closing = f"no_{output.two_stems}"
    elif output.residual:
        closing = "residual"
    if closing in stems:
        raise SettingsError(f"the model has a stem of its own named {closing!r}")
    return closing


def _written(output: OutputSettings, parts: Sequence[str]) -> tuple[str, ...]:
    for part in output.only or ():
        _check_known(part, parts)
    written = tuple(part for part in parts if output.only is None or part in output.only)
    if output.format != "stem":
        return written
    if len(written) != STEMS:
        raise SettingsError(
            f"a stem file holds {STEMS} stems, these are {len(written)}: {', '.join(written)}; "
            "--group sums several up, as in --group other=other+guitar+piano"
        )
    return _USUAL_ORDER if set(written) == set(_USUAL_ORDER) else written
