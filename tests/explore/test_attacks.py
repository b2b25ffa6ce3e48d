"""What the explorer refuses: other hosts and origins, no token, paths, large uploads, pixel bombs, hostile captions."""

import io
import json
import socket
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.explore.conftest import Explorer
from tests.small_run import SCRIPT

WRITES = (
    "/api/photos/open",
    "/api/photos/text",
    "/api/photos/picture",
    "/api/photos/sae/steer",
    "/api/photos/sae/retrieval",
    "/api/photos/sae/drawn",
    "/api/photos/sae/edits",
    "/api/photos/sae/features/0/rating",
)


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""]
)
def test_a_foreign_host_is_refused(explorer: Explorer, host: str) -> None:
    for path in ("/", "/main.js", "/api/runs", "/media/photos/0"):
        status, sentence = explorer.refused(path, host=host)
        assert status == 421
        assert "own address" in sentence


def test_two_hosts_are_refused(explorer: Explorer) -> None:
    with socket.create_connection(("127.0.0.1", explorer.port), timeout=60) as connection:
        own = f"127.0.0.1:{explorer.port}"
        asked = f"GET /api/runs HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        connection.sendall(asked.encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.split(b" ")[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "http://127.0.0.1"]
)
def test_a_foreign_origin_is_refused(explorer: Explorer, origin: str) -> None:
    assert explorer.refused("/api/runs", origin=origin)[0] == 403
    assert explorer.refused("/api/photos/text", {"text": "tea"}, origin=origin)[0] == 403


def test_a_request_of_another_site_is_refused_and_the_own_is_not(explorer: Explorer) -> None:
    for site in ("cross-site", "same-site"):
        assert explorer.refused("/api/runs", sec_fetch_site=site)[0] == 403
        assert explorer.refused("/media/photos/0", sec_fetch_site=site)[0] == 403
    own = f"http://127.0.0.1:{explorer.port}"
    assert explorer.json("/api/runs", origin=own, sec_fetch_site="same-origin")["runs"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
def test_nothing_is_written_or_embedded_without_the_token(
    explorer: Explorer, path: str, token: str | None
) -> None:
    before = _files(explorer.run)
    status, sentence = explorer.refused(path, {"text": "tea"}, x_modalens_token=token)
    assert status == 403
    assert "token" in sentence
    assert _files(explorer.run) == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_need_the_token_too(explorer: Explorer, method: str) -> None:
    assert explorer.ask("/api/runs", method=method, x_modalens_token=None)[0] == 403
    assert explorer.ask("/api/runs", method=method)[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/static/../app.py",
        "/%2e%2e/app.py",
        "/app.py",
        "/media/..%2f..%2fphotos/0",
        "/media/photos/..%2f0",
        "/media/photos/-1",
        "/media/photos/99999999999999999999",
        "/media/photos/own/..%2f..%2fetc",
        "/api/..%2f..",
        "/api/photos/..%2f..%2fembeddings/features",
        "/api/photos/replaced/features",
        "/api/photos/sae/own/..%2fkey",
        "/api/photos/sae/features/1e9",
        "/api/" + "a" * 5000,
    ],
)
def test_no_path_leads_out_of_the_run(explorer: Explorer, path: str) -> None:
    status, _, data = explorer.ask(path)
    assert 400 <= status < 500
    assert b"root:" not in data
    assert b"import" not in data


def test_an_upload_has_a_budget_of_bytes(explorer: Explorer) -> None:
    assert explorer.refused("/api/photos/picture", b"x", content_length=str(2**40))[0] == 413
    assert explorer.refused("/api/photos/text", b"x", content_length=str(2**17 + 1))[0] == 413
    connection = socket.create_connection(("127.0.0.1", explorer.port), timeout=60)
    with connection:  # what does not say how long it is, is not read to its end either
        connection.sendall(
            f"POST /api/photos/text HTTP/1.1\r\nHost: 127.0.0.1:{explorer.port}\r\n"
            f"X-Modalens-Token: {explorer.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for part in (b"x" * 65_536, b"x" * 65_536, b"x"):
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        assert b" 413 " in connection.recv(4096)


def test_an_upload_has_a_budget_of_pixels(explorer: Explorer) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    side = 30_000
    head = side.to_bytes(4, "big") * 2 + b"\x01\x00\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    status, sentence = explorer.refused("/api/photos/picture", bomb)
    assert status == 400
    assert "too many pixels" in sentence
    large = io.BytesIO()
    Image.new("1", (7000, 7000)).save(large, "PNG")  # the library's own limit is higher
    assert "too many pixels" in explorer.refused("/api/photos/picture", large.getvalue())[1]


@pytest.mark.parametrize("data", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg onload='x'/>"])
def test_what_is_no_picture_is_refused(explorer: Explorer, data: bytes) -> None:
    assert "not an image" in explorer.refused("/api/photos/picture", data)[1]


@pytest.mark.parametrize(
    "body",
    [b"no json", b"[1]", b'"text"', b'{"text": 3}', b'{"text": ""}', b"{}", b"[" * 50_000, b'{"text": "a'],
)
def test_what_is_no_request_is_a_sentence(explorer: Explorer, body: bytes) -> None:
    status, sentence = explorer.refused("/api/photos/text", body)
    assert status == 400
    assert sentence


def test_a_long_sentence_is_refused(explorer: Explorer) -> None:
    assert "at most" in explorer.refused("/api/photos/text", {"text": "a" * 2001})[1]


def test_hostile_captions_are_values_of_json_and_answers_have_a_policy(explorer: Explorer) -> None:
    listed = explorer.json("/api/photos/raw/pairs?place=0")["of"]
    captions = set()
    for place in range(listed):
        row = explorer.json(f"/api/photos/raw/pairs?place={place}")["row"]
        status, headers, data = explorer.ask(f"/api/photos/raw/pairs/{row}")
        assert status == 200
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"
        captions.add(json.loads(data)["caption"])
    assert SCRIPT in captions
    for path in ("/", "/main.js", "/api/runs", "/nowhere"):
        policy = explorer.ask(path)[1]["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy


def test_no_script_of_the_page_writes_markup() -> None:
    from importlib.resources import files

    for each in (files("modalens.explore") / "static").iterdir():
        text = each.read_text(encoding="utf-8")
        for danger in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "DOMParser",
            "style=",
        ):
            assert danger not in text, f"{each.name} has {danger}"
        assert "https://" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
