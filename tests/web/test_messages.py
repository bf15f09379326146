"""Messages between the processes of the server, and the description of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unbraid.web.choices import JobSettings
from unbraid.web.messages import (
    Cancel,
    Ended,
    Learned,
    Order,
    Progress,
    ReadProgress,
    ReadRequest,
    Ready,
    Refused,
    SongFacts,
    from_line,
    to_line,
)

SNAPSHOT = Path(__file__).with_name("openapi.json")
SETTINGS = JobSettings("mini", stems=("drums", "bass"), format="flac", overlap=0.5, preview=True)
FACTS = SongFacts(parts=("drums", "residual"), samples=5, key="C♯ minor", notes=("a\nb",))


@pytest.mark.parametrize(
    "message",
    [
        Order("a1", "mini", SETTINGS, "/songs/ü.mp3", "/songs", 60.0, 1, 2.5, 4 << 30),
        Cancel("a1"),
        Ready("cuda:0"),
        Ready("cpu", "there is no such model"),
        Progress("a1", "separating", 0.5),
        Progress("a1", "writing", 0.95, 12.5, 44100),
        Learned(FACTS, "a1"),
        Learned(SongFacts()),
        Ended("a1", "failed", "It broke."),
        ReadRequest("/a", "/b", "wav", None, 20.0, 60.0, 1, 2, 3.0),
        ReadProgress(0.25),
        Refused("This file is empty."),
    ],
    ids=lambda message: type(message).__name__,
)
def test_every_message_comes_back_as_it_was_from_one_line(message):
    line = to_line(message)
    assert line.endswith("\n") and line.count("\n") == 1
    assert from_line(line) == message


def test_facts_that_are_not_known_are_not_sent_to_the_database():
    assert SongFacts().known() == {}
    assert SongFacts.from_plain(json.loads(json.dumps(FACTS.known()))) == FACTS
    assert FACTS.with_more(SongFacts(samples=7)).samples == 7
    assert FACTS.with_more(SongFacts()) == FACTS


def test_the_description_of_the_api_changes_only_on_purpose(client):
    """After a change on purpose, delete openapi.json and run this once."""
    found = outline(client.get("/openapi.json").json())
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def outline(schema: dict[str, Any]) -> dict[str, Any]:
    """What clients rely on: routes, parameters, answers, and the names of all fields."""
    routes = {
        f"{method.upper()} {path}": {
            "parameters": sorted(p["name"] for p in operation.get("parameters", [])),
            "answers": {
                status: answer_of(answer) for status, answer in operation["responses"].items()
            },
        }
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    objects = {
        name: sorted(what.get("properties", {}))
        for name, what in schema["components"]["schemas"].items()
    }
    form = schema["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]
    return {"routes": routes, "objects": objects, "form": sorted(form["schema"]["properties"])}


def answer_of(answer: dict[str, Any]) -> str | list[str]:
    """The name of the object in an answer, or the media types of a file."""
    content = answer.get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return reference.rpartition("/")[2] or sorted(content)
