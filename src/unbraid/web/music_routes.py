"""The routes of beats, bars and chords."""

from __future__ import annotations

from fastapi import FastAPI, Request

from unbraid.web.answers import ERRORS
from unbraid.web.music import (
    BODY,
    MusicView,
    forget_edit,
    read_music,
    receive_edit,
    write_edit,
)
from unbraid.web.service import Service


def add_music(app: FastAPI, service: Service) -> None:
    """Add them to an app."""

    @app.get("/api/jobs/{id}/music", responses=ERRORS)
    def music(id: str) -> MusicView:
        """Beats, bars and chords; without beats where nothing repeats."""
        return read_music(service.finished_song(id))

    @app.put("/api/jobs/{id}/music", openapi_extra=BODY, responses=ERRORS)
    async def edit_music(request: Request, id: str) -> MusicView:
        """Correct them."""
        song = service.finished_song(id)
        write_edit(song, await receive_edit(request))
        return read_music(song)

    @app.delete("/api/jobs/{id}/music", responses=ERRORS)
    def find_music_again(id: str) -> MusicView:
        """Go back to what was found."""
        song = service.finished_song(id)
        forget_edit(song)
        return read_music(song)
