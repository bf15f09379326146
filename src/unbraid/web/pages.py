"""Pages: the app itself, and a plain description of the API, made here so that no CDN is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from unbraid.pages.page import environment
from unbraid.web.refusals import not_found

STATIC = Path(__file__).with_name("static")


class _Static(StaticFiles):
    """Files of the pages; a browser asks each time whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def get_response(self, path: str, scope: Scope) -> Any:
        try:
            return await super().get_response(path, scope)
        except ValueError:  # a name that no file system takes
            raise not_found() from None


def add_pages(app: FastAPI) -> None:
    """Serve the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home() -> HTMLResponse:
        return _page("home", "")

    @router.get("/songs/{id}")
    def song(id: str) -> HTMLResponse:
        return _page("song", "../")

    @router.get("/favicon.ico")
    def icon() -> FileResponse:
        for name in ("favicon.ico", "favicon.svg", "icon.svg"):
            if (STATIC / name).is_file():
                return FileResponse(STATIC / name, headers={"Cache-Control": "max-age=86400"})
        raise not_found()

    @router.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(describe_api(app.openapi()))

    app.include_router(router)
    app.mount("/static", _Static(directory=STATIC, check_dir=False))


def describe_api(schema: dict[str, Any]) -> str:
    """The OpenAPI description as a page without scripts."""
    operations = [
        (method.upper(), path, what, _fields(what))
        for path, methods in schema["paths"].items()
        for method, what in methods.items()
    ]
    template = environment("unbraid.web").get_template("docs.html")
    return template.render(info=schema["info"], operations=operations)


def _fields(what: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, place and description of all that an operation takes."""
    fields = [
        (parameter["name"], parameter["in"], parameter.get("description", ""))
        for parameter in what.get("parameters", [])
    ]
    for body in what.get("requestBody", {}).get("content", {}).values():
        for name, field in body.get("schema", {}).get("properties", {}).items():
            fields.append((name, "form", field.get("description", "")))
    return fields


def _page(name: str, root: str) -> HTMLResponse:
    """A page of the app; `root` leads from its address to that of the app."""
    template = environment("unbraid.web").get_template(f"{name}.html")
    return HTMLResponse(
        template.render(page=name, root=root), headers={"Cache-Control": "no-cache"}
    )
