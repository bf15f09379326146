"""Who may ask, and from where."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS, separated

from unbraid.web.app import make_app
from unbraid.web.security import Keys, host_names, is_loopback
from unbraid.web.service import Service
from unbraid.web.storage import Storage

KEY = "correct horse"


@pytest.fixture
def locked(tmp_path):
    service = Service(Storage(tmp_path / "locked"), LIMITS, MODELS, key=KEY, devices=())
    app = make_app(service, host_names("127.0.0.1"), any_address=False)
    with TestClient(app, "http://localhost") as client:
        yield client


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost:80:80", "", "[::2]",
     "localhost@evil.example", "192.168.0.1", "0x7f000001", "localhost/", "127.0.0.1 ", "a b"],
)  # fmt: skip
def test_other_names_than_ours_are_refused(shared_client, host):
    assert code(shared_client.get("/api/jobs", headers={"Host": host})) == (421, "unknown_host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "localhost."]
)
def test_names_of_the_loopback_are_ours(shared_client, host):
    assert shared_client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_server_on_the_network_goes_by_addresses_and_allowed_names_only(service):
    app = make_app(service, host_names("0.0.0.0", ["Studio.lan"]), any_address=True)
    with TestClient(app, "http://localhost") as client:
        status = {
            host: client.get("/healthz", headers={"Host": host}).status_code
            for host in ("192.168.1.7:8000", "[fe80::1]", "studio.lan", "evil.example")
        }
    assert status == dict(zip(status, (200, 200, 200, 421), strict=True))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_other_sites_can_neither_post_nor_read(shared_client, wav, headers):
    files = {"file": ("song.wav", wav)}
    assert code(shared_client.post("/api/jobs", files=files, headers=headers)) == (
        403,
        "other_site",
    )
    assert code(shared_client.get("/api/jobs", headers=headers)) == (403, "other_site")


def test_our_own_pages_can_do_both_and_links_from_elsewhere_lead_to_pages(client, wav):
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    files = {"file": ("song.wav", wav)}
    assert client.post("/api/jobs", files=files, headers=own).status_code == 201
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.post("/", headers=link).status_code == 403


def test_nobody_else_may_read_answers(shared_client):
    answer = shared_client.options(
        "/api/jobs",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", ["/", "/api/jobs", "/nothing", "/docs", "/static/docs.css"])
def test_every_answer_has_the_headers_that_bind_browsers(shared_client, path):
    headers = shared_client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    # WebAssembly of our own may be compiled: it computes, and reaches nothing but its memory.
    assert "unsafe" not in headers["content-security-policy"].replace("'wasm-unsafe-eval'", "")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_errors_are_told_in_one_shape(shared_client):
    assert code(shared_client.get("/nothing")) == (404, "not_found")
    assert code(shared_client.put("/api/jobs")) == (405, "not_allowed")
    assert code(shared_client.get("/api/jobs/xyz")) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
     "/static/%00", "/static/..%5capp.py", "/songs/../../etc/passwd"],
)  # fmt: skip
def test_no_file_beside_the_pages_is_served(shared_client, path):
    answer = shared_client.get(path)
    assert answer.status_code in (404, 405) or b"unbraid</h1>" in answer.content


def test_a_key_is_wanted_for_everything_but_the_pages(locked):
    for path in ("/api/jobs", "/api/events", "/api/jobs/1/zip", "/api/jobs/1/pcm/x"):
        assert code(locked.get(path)) == (401, "needs_key")
    for path in ("/", "/healthz", "/api/settings"):
        assert locked.get(path).status_code == 200
    assert locked.get("/api/settings").json()["needs_key"]


def test_the_key_goes_in_a_header_or_is_traded_for_a_cookie(locked):
    assert locked.get("/api/jobs", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    for wrong in ("Bearer x", f"Basic {KEY}", KEY, "Bearer", "Bearer \xff"):
        headers = {"Authorization": wrong.encode("latin-1")}
        assert locked.get("/api/jobs", headers=headers).status_code == 401
    assert code(locked.post("/api/login", json={"key": "x"})) == (401, "wrong_key")
    answer = locked.post("/api/login", json={"key": KEY})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204 and KEY not in cookie
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert locked.get("/api/jobs").status_code == 200


def test_guessing_the_key_is_slowed_down(locked):
    for _ in range(10):
        assert code(locked.post("/api/login", json={"key": "x"})) == (401, "wrong_key")
    assert code(locked.post("/api/login", json={"key": "x"})) == (429, "too_many_tries")


def test_cookies_that_are_no_cookies_are_no_key():
    keys = Keys(KEY)
    for cookie in ("", "unbraid_key", "unbraid_key=x", "=;;;\x00", "unbraid_key=ü"):
        assert not keys.lets_in({"cookie": cookie})
    assert keys.lets_in({"cookie": f"a=b; unbraid_key={keys.cookie()}"})
    assert Keys(None).lets_in({})


def test_uploads_are_never_shown_as_pages(client, service):
    job = separated(service)
    service.storage.original(job.id, ".wav").write_bytes(b"<script>alert(1)</script>")
    answer = client.get(f"/api/jobs/{job.id}/stems/original")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_only_this_machine_reaches_a_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org")))


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/api/jobs/x"), ("POST", "/api/jobs/x/move"), ("POST", "/api/login")],
)
def test_a_request_that_is_too_long_is_refused(shared_client, method, path):
    answer = shared_client.request(method, path, content=b" " * 2_000_001)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"
    assert shared_client.request(method, path, content=b" " * 2_000_000).status_code == 422
