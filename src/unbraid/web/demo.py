"""The demo song: shows the mixer before the first upload."""

from __future__ import annotations

import shutil
from pathlib import Path

from unbraid.errors import SettingsError
from unbraid.web.service import Service
from unbraid.web.storage import known_suffix
from unbraid.web.upload import Upload

NAME = "Karissa Hobbs - Lets Go Fishin.ogg"
_PACKAGED = Path(__file__).with_name("demo") / NAME
_CHECKOUT = Path(__file__).parents[3] / "demo" / NAME


def demo_song() -> Path:
    """The file of the song, in the package or at the root of a checkout.

    Raises:
        SettingsError: if it is in neither place.
    """
    for path in (_PACKAGED, _CHECKOUT):
        if path.is_file():
            return path
    raise SettingsError("the demo song is not installed here; start without --demo")


def add_demo(service: Service) -> bool:
    """Queue the demo song, before all others; False if it is there already."""
    if any(job.demo for job in service.store.find(NAME, (), 500)[0]):
        return False
    song = demo_song()
    arrived = service.storage.arriving()
    shutil.copyfile(song, arrived)
    upload = Upload(arrived, NAME, {"residual": "true"}, arrived.stat().st_size)
    service.create(upload, known_suffix(NAME), demo=True)
    return True
