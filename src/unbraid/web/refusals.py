"""What a client is told when it cannot have what it asks for."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """An answer other than the one asked for.

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


def error_body(code: str, message: str) -> dict[str, object]:
    """
    >>> error_body("not_found", "There is no such song.")
    {'error': {'code': 'not_found', 'message': 'There is no such song.'}}
    """
    return {"error": {"code": code, "message": message}}


def not_found(what: str = "There is nothing here.") -> Refusal:
    """404."""
    return Refusal(404, "not_found", what)
