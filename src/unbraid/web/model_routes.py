"""The routes of models: which there are, and downloading them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI, Request

from unbraid.web.answers import ERRORS
from unbraid.web.refusals import Refusal
from unbraid.web.security import is_from_here
from unbraid.web.service import Service
from unbraid.web.shelf import CardView, Shelf


@dataclass(frozen=True)
class ModelList:
    """Models to choose from; `may_download` tells whether this client may download them."""

    models: list[CardView]
    may_download: bool


def add_models(app: FastAPI, service: Service) -> None:
    """Add them to an app."""
    shelf = service.shelf

    @app.get("/api/models", responses=ERRORS)
    def models(request: Request) -> ModelList:
        """The recommended models by use, and the others that are on this machine."""
        return ModelList(shelf.cards(), _may(shelf, request))

    @app.post("/api/models/{name}/download", status_code=202, responses=ERRORS)
    def download(request: Request, name: str) -> CardView:
        """Download a model, where the host allows it; see `download` of the model."""
        _check(shelf, request)
        return shelf.download(name)

    @app.delete("/api/models/{name}/download", responses=ERRORS)
    def cancel(request: Request, name: str) -> CardView:
        """Stop a download; what has arrived is kept for the next time."""
        _check(shelf, request)
        return shelf.cancel(name)


def _may(shelf: Shelf, request: Request) -> bool:
    return shelf.who == "all" or (shelf.who == "local" and is_from_here(request.scope))


def _check(shelf: Shelf, request: Request) -> None:
    if not _may(shelf, request):
        who = "nobody" if shelf.who == "none" else "only the computer that runs this server"
        raise Refusal(403, "no_downloads", f"Here {who} may download models.")
