"""Fetching models from a server that does everything servers do."""

from __future__ import annotations

import hashlib
import multiprocessing
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unbraid.errors import ModelError, UnknownModel
from unbraid.zoo import catalog
from unbraid.zoo import open as load
from unbraid.zoo.download import CannotFetch, cache_dir, fetch

CONTENT = bytes(range(256)) * 2000
HASH8 = hashlib.sha256(CONTENT).hexdigest()[:8]


class Server:
    """Serves CONTENT in the way that the first part of a path says; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.broken: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Range")))
                way = self.path.split("/")[1]
                getattr(outer, f"do_{way}", outer.do_plain)(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, to, status=200, content=CONTENT, announced=None, **headers):
        to.send_response(status)
        for key, value in headers.items():
            to.send_header(key.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(content) if announced is None else announced))
        to.end_headers()
        to.wfile.write(content)

    def rest(self, to, content=CONTENT):
        """Answer a Range as a server does that knows them."""
        wanted = to.headers.get("Range")
        if wanted is None:
            return self.answer(to, content=content)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self.answer(to, 416, b"")
        said = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.answer(to, 206, content[start:], Content_Range=said)

    def do_plain(self, to):
        self.rest(to)

    def do_noranges(self, to):
        self.answer(to)

    def do_interrupted(self, to):
        """Breaks off the first four times, a little later each time."""
        count = len(self.asked)
        if count > 4:
            return self.rest(to)
        start = int((to.headers.get("Range") or "bytes=0-")[6:-1])
        piece = CONTENT[start : start + 50_000 * count]
        said = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        headers = {"Content_Range": said} if start else {}
        self.answer(to, 206 if start else 200, piece, announced=len(CONTENT) - start, **headers)
        return to.wfile.close()

    def do_otherpart(self, to):
        """Answers a Range with the wrong piece."""
        self.answer(to, 206, CONTENT, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")

    def do_wrong(self, to):
        self.rest(to, content=b"x" + CONTENT[1:])

    def do_redirect(self, to):
        self.answer(to, 302, b"", Location="/again/x")

    def do_again(self, to):
        self.answer(to, 307, b"", Location=f"{self.root}/plain/x")

    def do_loop(self, to):
        self.answer(to, 302, b"", Location="/loop/x")

    def do_tofile(self, to):
        self.answer(to, 302, b"", Location="file:///etc/passwd")

    def do_toftp(self, to):
        self.answer(to, 302, b"", Location="ftp://127.0.0.1/x")

    def do_missing(self, to):
        self.answer(to, 404, b"not here")

    def do_busy(self, to):
        if len(self.asked) < 3:
            return self.answer(to, 503, b"later")
        return self.rest(to)

    def do_silent(self, to):
        if len(self.asked) < 2:
            time.sleep(1.5)
        else:
            self.rest(to)

    def do_dripping(self, to):
        """A byte now and then, for ever."""
        to.send_response(200)
        to.end_headers()
        try:
            for byte in CONTENT:
                to.wfile.write(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass

    def do_slow(self, to):
        to.send_response(200)
        to.send_header("Content-Length", str(len(CONTENT)))
        to.end_headers()
        for start in range(0, len(CONTENT), 100_000):
            to.wfile.write(CONTENT[start : start + 100_000])
            time.sleep(0.1)

    def do_longer(self, to):
        to.send_response(200)
        to.end_headers()
        to.wfile.write(CONTENT + b"more")

    def do_garbage(self, to):
        to.wfile.write(b"\x00\x01 no HTTP at all\r\n\r\n")


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Server()
    yield served
    served.server.shutdown()
    served.server.server_close()


def get(server: Server, way: str, target: Path, **settings: object) -> Path:
    given = {"timeout_s": 1.0, "tries": 3, "pause_s": 0.01, **settings}
    return fetch(f"{server.root}/{way}/file", target, HASH8, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "way", ["plain", "noranges", "interrupted", "redirect", "busy", "silent", "slow"]
)
def test_the_file_arrives(way, server, tmp_path):
    seen: list[int] = []
    target = get(server, way, tmp_path / "model.th", on_download=lambda n, at, all: seen.append(at))
    assert target.read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[-1] == len(CONTENT)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    get(server, "interrupted", tmp_path / "model.th")
    starts = [0 if said is None else int(said[6:-1]) for _, said in server.asked]
    assert starts == [0, 50_000, 150_000, 300_000, 500_000]
    get(server, "plain", tmp_path / "model.th")
    assert len(server.asked) == 5


def test_a_part_from_an_earlier_run_is_continued(server, tmp_path):
    (tmp_path / ".model.th.part").write_bytes(CONTENT[:123_456])
    assert get(server, "plain", tmp_path / "model.th").read_bytes() == CONTENT
    assert server.asked == [("/plain/file", "bytes=123456-")]


@pytest.mark.parametrize("way", ["plain", "noranges", "otherpart"])
@pytest.mark.parametrize("part", [b"of another file", CONTENT + b"longer", CONTENT])
def test_a_wrong_part_does_no_harm(way, part, server, tmp_path):
    (tmp_path / ".model.th.part").write_bytes(part)
    assert get(server, way, tmp_path / "model.th").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("wrong", "SHA-256 starts with"),
        ("loop", "infinite loop"),
        ("tofile", "Redirection to url 'file:"),
        ("toftp", "redirects to 'ftp:"),
        ("missing", "404"),
        ("dripping", "bytes a second"),
        ("longer", "SHA-256 starts with"),
        ("garbage", "cannot fetch"),
    ],
)
def test_what_is_not_the_file_is_refused(way, said, server, tmp_path):
    with pytest.raises(CannotFetch, match=said) as refusal:
        get(server, way, tmp_path / "model.th", timeout_s=0.3, tries=2)
    assert not (tmp_path / "model.th").exists()
    assert "\n" not in str(refusal.value)


def test_a_server_that_is_silent_for_ever_is_given_up(server, tmp_path):
    server.do_silent = lambda to: time.sleep(2)
    started = time.monotonic()
    with pytest.raises(CannotFetch, match="timed out"):
        get(server, "silent", tmp_path / "model.th", timeout_s=0.2, tries=2)
    assert time.monotonic() - started < 5


def test_only_http_is_spoken(tmp_path):
    (tmp_path / "x").write_bytes(CONTENT)
    with pytest.raises(CannotFetch, match="only http"):
        fetch((tmp_path / "x").as_uri(), tmp_path / "model.th", HASH8)


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotFetch, match="cannot write"):
        get(server, "plain", tmp_path / "file" / "model.th")


def _get(root: str, target: str) -> None:
    fetch(f"{root}/slow/file", Path(target), HASH8, timeout_s=20)


def test_two_processes_at_once_fetch_it_once(server, tmp_path):
    spawn = multiprocessing.get_context("fork")
    target = tmp_path / "model.th"
    both = [spawn.Process(target=_get, args=(server.root, str(target))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1


# --- the catalog's names


@pytest.fixture
def mirror(server, monkeypatch, tmp_path):
    """The catalog with one small file for all models, on the local server."""
    real = catalog.load_catalog()
    small = {
        name: catalog.CatalogModel(
            name, f"plain/{name}-{HASH8}.th", "x", "y", False, real.models[name].stems, "z", 0.5
        )
        for name in real.models
    }
    fake = catalog.Catalog(real.root, small, real.bags, real.doubtful)
    monkeypatch.setattr(load, "load_catalog", lambda: fake)
    monkeypatch.setenv("UNBRAID_MIRROR", server.root)
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return server


def test_pull_fetches_every_member_once(mirror, caplog):
    files = load.pull("repro_mdx_a_time_only")
    assert [path.name for path in files] == [f"9a6b4851-{HASH8}.th", f"1ef250f1-{HASH8}.th"]
    assert all(path.read_bytes() == CONTENT for path in files)
    assert len(caplog.messages) == 2 and "fetching" in caplog.messages[0]
    load.pull("repro_mdx_a_time_only")
    assert len(mirror.asked) == 2


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mdx_extra", ["e51eebcc-c1b80bdd.th", "cfa93e08-61801ae1.th"]),
        ("htdemucs", ["hybrid_transformer/955717e8-8726e21a.th"]),
        ("melband-kim", ["MelBandRoformer.ckpt"]),
    ],
)
def test_offline_says_in_one_line_what_to_fetch_and_where_to_put_it(
    monkeypatch, tmp_path, name, files
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("UNBRAID_MIRROR", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
    monkeypatch.setattr("unbraid.zoo.download.time.sleep", lambda s: None)
    with pytest.raises(ModelError) as refusal:
        load.open_model(name)
    message = str(refusal.value)
    assert "\n" not in message
    for said in (*files, str(tmp_path / "models")):
        assert said in message


def test_names_that_nobody_knows_are_told():
    with pytest.raises(UnknownModel, match="did you mean 'mdx_extra'"):
        load.pull("mdx_extr")


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("UNBRAID_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "unbraid" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "unbraid" / "models"
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own" / "models"
