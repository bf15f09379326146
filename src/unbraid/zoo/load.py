"""From a name or a path to a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from unbraid.errors import UnknownModel
from unbraid.models.build import did_you_mean
from unbraid.zoo.checkpoint import load_checkpoint, read_info

_BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelCard:
    """What there is to know of a model before it is loaded.

    Attributes:
        name: as `load_model` takes it.
        path: file of its weights.
        stems: names of the parts.
        licence: of the weights.
        summary: one line.
        text: the whole card, Markdown.
        size_mb: of the file, in 10^6 bytes.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    licence: str
    summary: str
    text: str
    size_mb: float


def list_models() -> list[ModelCard]:
    """Cards of all models that `load_model` knows by name."""
    return [_bundled_card(path) for path in sorted(_BUNDLED.glob("*.safetensors"))]


def find_model(name: str | Path) -> Path:
    """The file of weights for a name or a path.

    Raises:
        UnknownModel: if it is neither; names what is known.
    """
    path = Path(name)
    if path.is_file():
        return path
    bundled = {card.stem: card for card in _BUNDLED.glob("*.safetensors")}
    if str(name) in bundled:
        return bundled[str(name)]
    raise UnknownModel(
        f"no model of the name and no file at the path {str(name)!r}"
        f"{did_you_mean(str(name), set(bundled))}; known names: {', '.join(sorted(bundled))}"
    )


def load_model(name: str | Path = "mini", device: str = "cpu") -> nn.Module:
    """Load a model by name or path, without ever executing code from a file.

    Args:
        name: a name that `list_models` knows, or the path of a checkpoint.
        device: where to put it, as torch names devices.
    Returns:
        the model, float32, in evaluation mode; (b c t) -> (b s c t).
    Raises:
        UnknownModel: if there is no such model.
        CheckpointError: if its file is damaged or foreign.
    """
    return load_checkpoint(find_model(name)).to(device)


def _bundled_card(path: Path) -> ModelCard:
    info = read_info(path)
    card = path.with_suffix(".md")
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return ModelCard(
        name=path.stem,
        path=path,
        stems=info.stems,
        licence=info.licence,
        summary=lines[0] if lines else "",
        text=text,
        size_mb=path.stat().st_size / 1e6,
    )
