"""Answers to requests that are refused."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from unbraid.web.http_rules import allow_head, error_body


class Refusal(Exception):
    """A request that is refused.

    Args:
        status: HTTP status, 4xx, or 507 when the disk is full.
        code: one word for programs.
        message: one plain sentence for people.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """As it goes over the wire."""
        return error_body(self.code, self.message)


def not_found(what: str = "There is nothing here.") -> Refusal:
    """404."""
    return Refusal(404, "not_found", what)


def answer_refusals(app: FastAPI) -> None:
    """Let an app answer refusals, its own and FastAPI's, as {"error": {"code", "message"}}."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body(), error.status, error.headers)


async def _on_bad_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(piece) for piece in first["loc"][1:] if isinstance(piece, str))
    what = f"{where}: {first['msg']}" if where else str(first["msg"])
    return JSONResponse(error_body("bad_request", f"Not possible: {what[:300]}."), 422)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "not_allowed", 413: "too_large"}
    body = error_body(codes.get(error.status_code, "refused"), f"{error.detail}.")
    response = JSONResponse(body, error.status_code, dict(error.headers or {}))
    allow_head(response.headers)
    return response
