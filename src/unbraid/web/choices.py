"""What a client may choose for a song, checked before the song is queued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unbraid.audio.formats import BIT_DEPTHS, FORMATS
from unbraid.errors import SettingsError
from unbraid.tracks.parts import choose_parts
from unbraid.tracks.settings import OutputSettings
from unbraid.web.refusals import Refusal

MOST_SHIFTS = 10
LARGEST_OVERLAP = 0.9
PREVIEW_S = 20.0
FIELDS = (
    *("model", "stems", "two_stems", "format", "bit_depth", "shifts", "overlap"),
    *("residual", "preview"),
)
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True)
class Model:
    """A model that clients may choose.

    Attributes:
        name: its name in the API.
        source: name or path for `load_model`; never sent to clients.
        stems, licence, description: from its model card.
        default: whether it is used when the client names no model.
    """

    name: str
    source: str
    stems: tuple[str, ...]
    licence: str = ""
    description: str = ""
    default: bool = False


@dataclass(frozen=True)
class JobSettings:
    """How one song is separated.

    Attributes:
        model: name of an offered model.
        stems: only these; None for all.
        two_stems: this one and its complement.
        format, bit_depth: of the files.
        shifts, overlap: see `SeparationSettings`.
        residual: also a file of the residual.
        preview: only the loudest seconds of the middle.
    """

    model: str
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    format: str = "wav"
    bit_depth: str | None = None
    shifts: int = 0
    overlap: float = 0.25
    residual: bool = False
    preview: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> JobSettings:
        """From the plain values of `as_row`, read from JSON."""
        stems = row.get("stems")
        return cls(**{**row, "stems": None if stems is None else tuple(stems)})

    def as_row(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def output(self) -> OutputSettings:
        """How its stems are written, each under its own name."""
        return OutputSettings(
            format=self.format,
            bit_depth=self.bit_depth,
            stems=self.stems,
            two_stems=self.two_stems,
            residual=self.residual and self.two_stems is None,
            filename="{stem}.{ext}",
            overwrite=True,
        )


def choose(fields: Mapping[str, str], models: Mapping[str, Model]) -> JobSettings:
    """The settings in the fields of a form.

    Args:
        fields: as received, all optional; unknown ones are refused.
        models: name to offered model.
    Raises:
        Refusal: 422, naming the field and its allowed values.
    """
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise _bad(f"There is no setting {unknown[0][:40]!r}; known are {', '.join(FIELDS)}.")
    default = next(model.name for model in models.values() if model.default)
    model = models.get(fields.get("model") or default)
    if model is None:
        raise _bad(f"This server does not offer that model; choose one of {', '.join(models)}.")
    stems = tuple(dict.fromkeys(s.strip() for s in fields.get("stems", "").split(",") if s.strip()))
    settings = JobSettings(
        model=model.name,
        stems=stems if stems and set(stems) != set(model.stems) else None,
        two_stems=fields.get("two_stems") or None,
        format=_one_of("format", fields.get("format") or "wav", FORMATS),
        bit_depth=_one_of("bit_depth", fields["bit_depth"], BIT_DEPTHS)
        if fields.get("bit_depth")
        else None,
        shifts=int(_number("shifts", fields.get("shifts"), 0, MOST_SHIFTS, whole=True)),
        overlap=_number("overlap", fields.get("overlap"), 0.25, LARGEST_OVERLAP),
        residual=_flag("residual", fields.get("residual", "")),
        preview=_flag("preview", fields.get("preview", "")),
    )
    try:
        choose_parts(settings.output(), model.stems)
    except SettingsError as error:
        raise _bad(_sentence(str(error))) from None
    return settings


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _bad(f"The setting {name} is one of {', '.join(allowed)}.")
    return value


def _number(
    name: str, text: str | None, default: float, highest: float, *, whole: bool = False
) -> float:
    if not text:
        return default
    try:
        number = float(text) if len(text) < 20 else float("nan")
    except ValueError:
        number = float("nan")
    if not 0 <= number <= highest or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise _bad(f"The setting {name} is {kind} from 0 to {highest:g}.")
    return number


def _flag(name: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _bad(f"The setting {name} is true or false.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:300] + ("" if text.endswith(".") else ".")


def _bad(message: str) -> Refusal:
    return Refusal(422, "bad_setting", message)
