"""What the OpenAPI description says beyond the routes' own signatures."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from unbraid.web.choices import BIT_DEPTHS, FORMATS, LARGEST_OVERLAP, MOST_SHIFTS

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_MEANINGS = {
    400: "the request is malformed",
    401: "the key is missing or wrong",
    403: "the request comes from another site",
    404: "there is no such song or part",
    408: "the upload was too slow",
    409: "the song is not in a state for this",
    413: "the file is too large",
    415: "the file is no song",
    416: "the range lies beyond the end",
    421: "the server does not go by that name",
    422: "a setting or parameter cannot be",
    429: "too much is going on already",
    507: "the disk is full",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
    for status, text in _MEANINGS.items()
}

_NUMBER, _TEXT = {"type": ["number", "null"]}, {"type": ["string", "null"]}
_JOB = {
    "type": "object",
    "required": ["id", "name", "status", "progress", "stage", "settings", "parts"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "status": {"enum": ["queued", "running", "succeeded", "failed", "canceled"]},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "stage": {"enum": ["waiting", "reading", "separating", "writing", "done"]},
        "seconds_left": _NUMBER,
        "position": {"type": ["integer", "null"], "description": "in the queue, 1 is next"},
        "error": _TEXT,
        "created": {"type": "string"},
        "started": _TEXT,
        "finished": _TEXT,
        "settings": {"type": "object"},
        "parts": {
            "type": "array",
            "items": {"type": "string"},
            "description": "known when the song was read",
        },
        "notes": {"type": "array", "items": {"type": "string"}},
        "samples_ready": {"type": "integer"},
        "seconds_audio": _NUMBER,
        "sample_rate": {"type": ["integer", "null"]},
        "channels": {"type": ["integer", "null"]},
        "samples": {"type": ["integer", "null"]},
        "loudness_lufs": _NUMBER,
        "tempo_bpm": _NUMBER,
        "key": _TEXT,
        "null_test_db": _NUMBER,
        "gain_db": _NUMBER,
        "bytes": {"type": "integer"},
        "demo": {"type": "boolean"},
    },
}


def JOB(status: int) -> dict[int | str, dict[str, Any]]:  # noqa: N802  beside ERRORS
    """An answer that is a job."""
    return {status: {"description": "the song", "content": {"application/json": {"schema": _JOB}}}}


def FILE(*kinds: str) -> dict[int | str, dict[str, Any]]:  # noqa: N802
    """An answer that is a file of one of these kinds, or some of its bytes."""
    content: dict[str, Any] = {kind: {} for kind in kinds}
    return {
        200: {"description": "the file", "content": content},
        206: {"description": "the bytes asked for", "content": content},
    }


_FIELDS = {
    "file": {"type": "string", "format": "binary", "description": "the song"},
    "model": {"type": "string", "description": "one of /api/settings"},
    "stems": {"type": "string", "description": "only these, with commas between"},
    "two_stems": {"type": "string", "description": "this stem and its complement"},
    "format": {"enum": list(FORMATS), "description": "of the files (wav)"},
    "bit_depth": {"enum": list(BIT_DEPTHS), "description": "of wav and flac (the source's)"},
    "shifts": {
        "type": "integer",
        "minimum": 0,
        "maximum": MOST_SHIFTS,
        "description": "averaged shifted runs (0)",
    },
    "overlap": {
        "type": "number",
        "minimum": 0,
        "maximum": LARGEST_OVERLAP,
        "description": "of segments (0.25)",
    },
    "residual": {"type": "boolean", "description": "also what no stem holds"},
    "preview": {"type": "boolean", "description": "only 20 s from the loudest middle"},
}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": _FIELDS}
            }
        },
    }
}


def tell_of_errors(app: FastAPI) -> None:
    """Take FastAPI's own shape of errors out of the description, as ours is another."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        schema = make()
        for name in ("HTTPValidationError", "ValidationError"):
            schema.get("components", {}).get("schemas", {}).pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
