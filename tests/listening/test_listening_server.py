from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_studies import small_study

pytest.importorskip("fastapi")

from unbraid.listening.server import ListeningServer
from unbraid.listening.store import Rating, Store


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    _, folder = small_study(tmp_path_factory.mktemp("served"))
    with ListeningServer(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, **headers):
    """Status, headers and body of a raw request: nothing is mended on the way."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    content = None if body is None else json.dumps(body)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, content, {**kind, **headers})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.headers, data


def join(server):
    status, _, data = ask(server, "POST", "/api/raters", {"background": {"experience": "amateur"}})
    assert status == 201
    return json.loads(data)


def first_answer(server, playlist, **changes):
    trial = server.study.playlists[playlist % len(server.study.playlists)][1]
    answer = {"trial": trial.id, "sound": trial.sounds[0], "question": "quality", "value": 4}
    return {**answer, "listened_s": 3.5, **changes}


def test_ratings_are_kept_and_come_back_to_go_on(server):
    rater = join(server)
    url = f"/api/raters/{rater['token']}"
    answer = first_answer(server, rater["playlist"])
    assert ask(server, "PUT", f"{url}/ratings", answer)[0] == 204
    assert ask(server, "PUT", f"{url}/ratings", {**answer, "value": 2})[0] == 204
    status, _, data = ask(server, "GET", url)
    assert status == 200
    assert json.loads(data) == {
        "playlist": rater["playlist"],
        "ratings": [{**answer, "value": 2.0}],
    }


def test_raters_get_playlists_of_their_own(server):
    with ThreadPoolExecutor(8) as pool:
        raters = list(pool.map(lambda _: join(server), range(12)))
    assert len({rater["playlist"] for rater in raters}) == 12
    assert len({rater["token"] for rater in raters}) == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"value": 6}, {"value": 0}, {"value": "5"}, {"value": True}, {"value": None},
        {"trial": "t99"}, {"sound": "x.flac"}, {"question": "loudness"}, {"listened_s": -1},
        {"value": 4.5}, {"listened_s": "1"},
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_are_refused(server, changes):
    rater = join(server)
    answer = first_answer(server, rater["playlist"], **changes)
    assert ask(server, "PUT", f"/api/raters/{rater['token']}/ratings", answer)[0] == 400
    assert server.store.ratings(rater["token"]) == []


@pytest.mark.parametrize(
    "path",
    [
        "/../study.json", "/study.json", "/audio/../index.html", "/audio/..%2f..%2fstudy.json",
        "/audio/%2e%2e/%2e%2e/study.json", "//etc/passwd", "/audio//etc/passwd", "/ratings.sqlite",
        "/audio/", "/api/raters/", "/api/raters/" + "x" * 24,
    ],
)  # fmt: skip
def test_nothing_but_the_page_and_its_sounds_is_served(server, path):
    status, _, data = ask(server, "GET", path)
    assert status == 404 and b"system" not in data


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example"])
def test_other_hosts_are_refused(server, host):
    assert ask(server, "GET", "/", Host=host)[0] == 421


def test_pages_from_elsewhere_cannot_rate(server):
    status, _, _ = ask(server, "POST", "/api/raters", {}, Origin="https://evil.example")
    assert status == 403
    own = f"http://127.0.0.1:{server.server_address[1]}"
    assert ask(server, "POST", "/api/raters", {}, Origin=own)[0] == 201


def test_bodies_are_small_json_objects(server):
    for body, kind, status in [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 9000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * 20_000, "application/json", 413),
    ]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
        connection.request("POST", "/api/raters", body, {"Content-Type": kind})
        assert connection.getresponse().status == status
        connection.close()
    big = {"background": {"a": "x" * 5000}}
    assert ask(server, "POST", "/api/raters", big)[0] == 400


def test_sounds_come_whole_and_in_ranges(server):
    name = next(iter(server.study.sounds))
    whole = (server.public / "audio" / name).read_bytes()
    status, headers, data = ask(server, "GET", f"/audio/{name}")
    assert (status, data, headers["Content-Type"]) == (200, whole, "audio/flac")
    status, headers, data = ask(server, "GET", f"/audio/{name}", Range="bytes=10-19")
    assert (status, data) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert ask(server, "GET", f"/audio/{name}", Range="bytes=-5")[2] == whole[-5:]
    assert ask(server, "GET", f"/audio/{name}", Range="bytes=5-")[2] == whole[5:]
    assert ask(server, "GET", f"/audio/{name}", Range=f"bytes={len(whole)}-")[0] == 416
    assert ask(server, "GET", f"/audio/{name}", Range="bytes=9-2")[::2] == (200, whole)
    some = f"bytes=0-4,{len(whole)}-"
    assert ask(server, "GET", f"/audio/{name}", Range=some)[::2] == (206, whole[:5])
    status, headers, data = ask(server, "HEAD", f"/audio/{name}")
    assert (status, data, int(headers["Content-Length"])) == (200, b"", len(whole))


def test_head_answers_wherever_get_does(server):
    for path in ("/", "/index.html", "/favicon.ico", "/api/hello"):
        got, head = ask(server, "GET", path), ask(server, "HEAD", path)
        assert (head[0], head[2]) == (got[0], b"") == (200, b""), path
        assert head[1]["Content-Length"] == got[1]["Content-Length"]


def test_what_was_told_as_kept_survives_kill_9(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from unbraid.listening.store import Rating, Store\n"
        "store = Store(Path(sys.argv[1])); token, _ = store.join({})\n"
        "n = 0\n"
        "while True:\n"
        "    store.rate(token, Rating(f't{n}', 's', 'quality', 3, 1.0)); print(n, flush=True)\n"
        "    n += 1\n"
    )
    path = tmp_path / "ratings.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(25):
        told = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    told = int(rest[-1]) if rest else told
    store = Store(path)
    (rater,) = store.raters()
    kept = {rating.trial for rating in store.ratings(rater[0])}
    assert {f"t{n}" for n in range(told + 1)} <= kept and len(kept) <= told + 2


def test_the_database_is_in_wal_mode_and_whole(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    token, _ = store.join({"a": 1})
    store.rate(token, Rating("t0", "s", "quality", 5, 1.0))
    db = sqlite3.connect(tmp_path / "r.sqlite")
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert Store(tmp_path / "r.sqlite").ratings(token) == [Rating("t0", "s", "quality", 5, 1.0)]
