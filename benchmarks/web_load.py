"""How `unbraid serve` bears a crowd: python -m benchmarks.web_load

20 songs are sent at once, 50 clients listen to the news of all of them, and meanwhile pages and
sounds are asked for, ten times a second, while a worker separates. All on the loopback, in a folder
that is gone afterwards, and over after some minutes whatever happens.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.songs import write_song

_PAUSE_S = 0.1
_MOST_S = 600.0


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a song")
    parser.add_argument("--listen", metavar="PORT", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen is not None:
        asyncio.run(_listen(options.listen, options.listeners, options.songs))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.songs, options.listeners, options.seconds)
    print(json.dumps(result, indent=1))


def measure(folder: Path, songs: int, listeners: int, seconds: float) -> dict[str, Any]:
    """The figures of one run."""
    write_song(folder / "song.wav", seconds)
    server = subprocess.Popen(
        [sys.executable, "-m", "unbraid", "serve", "--port", "0", "--data", str(folder / "data")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        found = re.search(r":(\d+)/", server.stdout.readline())
        assert found is not None, "the server does not start"
        return _run(int(found[1]), (folder / "song.wav").read_bytes(), songs, listeners)
    finally:
        server.terminate()
        server.wait(30)


def _run(port: int, song: bytes, songs: int, listeners: int) -> dict[str, Any]:
    while set(_get(port, "/healthz")["workers"].values()) != {"idle"}:
        time.sleep(0.2)
    command = [sys.executable, "-m", "benchmarks.web_load", "--listen", str(port)]
    command += ["--listeners", str(listeners), "--songs", str(songs)]
    crowd = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert crowd.stdout is not None
    assert crowd.stdout.readline() == "listening\n"
    times: dict[str, list[float]] = defaultdict(list)
    begun, done = time.monotonic(), threading.Event()
    asker = threading.Thread(target=_ask, args=(port, times, done))
    with ThreadPoolExecutor(songs) as pool:
        asker.start()
        sent = list(pool.map(lambda _: _send(port, song), range(songs)))
    uploaded = time.monotonic() - begun
    heard = json.loads(crowd.communicate(timeout=_MOST_S)[0])
    done.set()
    asker.join()
    jobs = _get(port, "/api/jobs?limit=500")["jobs"]
    ids = {id for _, id in sent}
    everything = [ms for values in times.values() for ms in values]
    return {
        "songs": songs,
        "succeeded": sum(job["status"] == "succeeded" and job["id"] in ids for job in jobs),
        "jobs_in_all": len(jobs),
        "listeners": listeners,
        "listeners_told_of_every_end": heard["complete"],
        "events": heard["events"],
        "uploads_s": round(uploaded, 2),
        "slowest_upload_s": round(max(seconds for seconds, _ in sent), 2),
        "whole_s": round(time.monotonic() - begun, 1),
        "calls": len(everything),
        "p50_ms": _percentile(everything, 50),
        "p95_ms": _percentile(everything, 95),
        "slowest_ms": round(max(everything), 1),
        "p95_ms_each": {call: _percentile(values, 95) for call, values in times.items()},
    }


def _ask(port: int, times: dict[str, list[float]], done: threading.Event) -> None:
    """Call pages one after the other, as a person with the app open does, and time each call."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sound = ""
    while not done.is_set():
        calls = {"page": "/", "list": "/api/jobs?limit=50", "settings": "/api/settings"}
        if sound:
            calls["song"], calls["peaks"] = f"/api/jobs/{sound}", f"/api/jobs/{sound}/peaks"
            calls["sound"] = f"/api/jobs/{sound}/pcm/drums?start=44100&count=176400"
        for name, path in calls.items():
            begun = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (path, answer.status, body)
            times[name].append(1000 * (time.perf_counter() - begun))
            if name == "list" and not sound:
                jobs = json.loads(body)["jobs"]
                sound = next((job["id"] for job in jobs if job["status"] == "succeeded"), "")
            if done.wait(_PAUSE_S):
                return


def _send(port: int, song: bytes) -> tuple[float, str]:
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="song.wav"\r\n\r\n'
    )
    body = head.encode() + song + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/api/jobs", body, kind)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    assert answer.status == 201, content
    return time.monotonic() - begun, content["id"]


def _get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


async def _listen(port: int, listeners: int, songs: int) -> None:
    """Many listeners in one process, so that they take little from those who are measured."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(listeners)]
    for _, writer in streams:
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for reader, _ in streams:
        await reader.readuntil(b"retry: 2000\n\n")
    print("listening", flush=True)
    ends = await asyncio.wait_for(
        asyncio.gather(*(_hear(reader, songs) for reader, _ in streams)), _MOST_S
    )
    complete = sum(finished == songs for finished, _ in ends)
    print(json.dumps({"complete": complete, "events": sum(count for _, count in ends)}))


async def _hear(reader: asyncio.StreamReader, songs: int) -> tuple[int, int]:
    """Read until so many songs have ended; how many did, and how many events came."""
    finished: set[str] = set()
    count = 0
    while len(finished) < songs and (line := await reader.readline()):
        if line.startswith(b"data: "):
            count += 1
            job = json.loads(line.removeprefix(b"data: "))
            if job.get("finished"):
                finished.add(job["id"])
    return len(finished), count


def _percentile(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 1)


if __name__ == "__main__":
    main()
