"""Settings of CrossNet-Open-Unmix."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.models.open_unmix.config import OpenUnmixConfig


@dataclass(frozen=True)
class XUMXConfig(OpenUnmixConfig):
    """Settings of X-UMX: those of Open-Unmix, with the public order of stems."""

    stems: tuple[str, ...] = ("bass", "drums", "vocals", "other")
