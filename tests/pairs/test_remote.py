import http.server
import io
import tarfile
import threading

import fsspec
import numpy as np
import pytest
from PIL import Image

from modalens.errors import MissingPackageError, ModalensError
from modalens.pairs import Pair, load_pairs, remote
from modalens.pairs.remote import RemoteFile, RemoteImage
from modalens.redaction import public_url
from modalens.runs import embed
from modalens.store import EmbeddingStore
from tests.fakes import FakeVLM


@pytest.fixture
def naps(monkeypatch):
    """The pauses before new tries, none of which is really made."""
    taken: list[float] = []
    monkeypatch.setattr("modalens.pairs.remote.time.sleep", taken.append)
    return taken


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def png(seed=0) -> bytes:
    """An image of noise, a few kilobytes large, so that a shard takes several reads."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tar(*keys) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for key in keys:
            for name, content in ((f"{key}.png", png()), (f"{key}.txt", f"caption of {key}".encode())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def shards(memory):
    memory.pipe({f"/bucket/s-{i}.tar": tar("b", "a", f"only{i}") for i in range(3)})
    return "memory://bucket/s-{0..2}.tar"


IDS = [f"s-{i}/{key}" for i in range(3) for key in ("b", "a", f"only{i}")]


class Flaky:
    """Makes chosen reads of files in memory fail, counted over all files."""

    def __init__(self, memory, monkeypatch, failing, error=None):
        self.reads, plain = 0, memory.open
        error = error or OSError("connection reset")
        count = self

        class File:
            def __init__(self, *args, **kwargs):
                self.file = plain(*args, **kwargs)
                self.size, self.seek, self.close = self.file.size, self.file.seek, self.file.close

            def read(self, size):
                count.reads += 1
                if count.reads in failing:
                    raise error
                return self.file.read(size)

        monkeypatch.setattr(memory, "open", File)


def test_shards_behind_a_url_equal_those_on_disk(tmp_path, shards, memory):
    memory.get("/bucket/", f"{tmp_path}/", recursive=True)
    far, near = load_pairs(f"wds:{shards}"), load_pairs(f"wds:{tmp_path}/s-{{0..2}}.tar")
    assert [pair.id for pair in far] == [pair.id for pair in near] == IDS
    for one, other in zip(far, near, strict=True):
        assert (one.text, one.ref, one.label) == (other.text, other.ref, other.label)
    assert far.card() == {"source": f"wds:{shards}", "shards": ["s-0", "s-1", "s-2"]}
    assert far.retries == 0  # type: ignore[attr-defined]


def test_wildcards_and_several_patterns(shards, memory):
    memory.pipe("/other/s-1.tar", tar("z"))
    assert [pair.id for pair in load_pairs("wds:memory://bucket/*.tar")] == IDS
    ids = [pair.id for pair in load_pairs("wds:memory://bucket/s-1.tar::memory://other/s-1.tar")]
    assert ids == ["bucket/s-1.tar/b", "bucket/s-1.tar/a", "bucket/s-1.tar/only1", "other/s-1.tar/z"]


def test_a_read_that_fails_twice_is_repeated_and_counted(shards, memory, monkeypatch, naps, caplog):
    Flaky(memory, monkeypatch, failing={3, 4})
    source = load_pairs(f"wds:{shards}")
    items = list(source.scan())
    assert [item.id for item in items] == IDS
    assert all(isinstance(item, Pair) and item.image.size == (64, 64) for item in items)
    assert source.retries == 2  # type: ignore[attr-defined]
    assert naps == [0.5, 1.0]
    assert "memory://bucket/s-0.tar: OSError: connection reset; trying again in 0.5 s" in caplog.text


def test_every_single_read_may_fail_once(memory, shards, monkeypatch, naps):
    Flaky(memory, monkeypatch, failing=range(1, 10_000, 2))
    source = load_pairs(f"wds:{shards}")
    assert [pair.id for pair in source] == IDS
    assert source.retries == len(naps) > 10  # type: ignore[attr-defined]
    assert set(naps) == {0.5}  # a read that works ends the trouble


def test_what_stays_out_of_reach_is_given_up(memory, shards, monkeypatch, naps):
    Flaky(memory, monkeypatch, failing=range(3, 10_000))
    with pytest.raises(
        ModalensError, match=r"^memory://bucket/s-0\.tar could not be read in 6 tries \(OSError: connection"
    ):
        list(load_pairs(f"wds:{shards}").scan())
    assert naps == list(remote.DELAYS)


def test_a_refusal_is_not_repeated(memory, shards, monkeypatch, naps):
    Flaky(memory, monkeypatch, failing={2}, error=PermissionError("Access Denied"))
    with pytest.raises(ModalensError, match=r"cannot be read \(PermissionError: Access Denied\)\.$"):
        list(load_pairs(f"wds:{shards}").scan())
    assert naps == []


def test_an_embedding_goes_on_after_the_source_was_out_of_reach(tmp_path, memory, shards, monkeypatch, naps):
    whole = embed(load_pairs(f"wds:{shards}"), FakeVLM(), tmp_path / "whole", rows_per_shard=2)
    plain = memory.open
    Flaky(memory, monkeypatch, failing=range(12, 10_000))
    with pytest.raises(ModalensError, match="6 tries"):
        embed(load_pairs(f"wds:{shards}"), FakeVLM(), tmp_path / "broken", rows_per_shard=2)
    assert list((tmp_path / "broken/img_emb").iterdir())
    monkeypatch.setattr(memory, "open", plain)
    embed(load_pairs(f"wds:{shards}"), FakeVLM(), tmp_path / "broken", rows_per_shard=2)
    again = EmbeddingStore.open(tmp_path / "broken")
    assert list(again.ids) == list(whole.ids) == IDS
    assert (again.image[:] == whole.image[:]).all()
    assert (again.text[:] == whole.text[:]).all()


def test_a_shard_that_changes_between_two_tries(memory, shards, monkeypatch, naps):
    Flaky(memory, monkeypatch, failing={3})
    monkeypatch.setattr(
        "modalens.pairs.remote.time.sleep", lambda _: memory.pipe("/bucket/s-0.tar", tar("another"))
    )
    with pytest.raises(ModalensError, match=r"^memory://bucket/s-0\.tar has changed while it was read; run"):
        list(load_pairs(f"wds:{shards}").scan())


def test_a_shard_cut_short_is_noticed(memory, shards):
    memory.pipe("/bucket/s-1.tar", tar("b", "a")[:28_000])
    walk = load_pairs(f"wds:{shards}").scan()
    assert [next(walk).id for _ in range(4)] == IDS[:4]
    with pytest.raises(ModalensError, match=r"memory://bucket/s-1\.tar' is damaged or cut short"):
        list(walk)


def test_bad_locations(memory, shards, naps):
    for location, words in {
        "memory://bucket/s-{0..3}.tar": r"^There is no file memory://bucket/s-3\.tar\.$",
        "memory://bucket/x*.tar": r"^There is no shard 'memory://bucket/x\*\.tar'",
        "nosuch://bucket/a.tar": r"^nosuch://bucket/a\.tar cannot be read \(ValueError: Protocol not known",
        "memory://bucket/s-{1,1}.tar": "given twice",
    }.items():
        with pytest.raises(ModalensError, match=words):
            load_pairs(f"wds:{location}")
    assert naps == []
    memory.rm("/bucket/s-1.tar")  # in the middle of the range, where nobody looks beforehand
    with pytest.raises(ModalensError, match=r"^There is no file memory://bucket/s-1\.tar\.$"):
        list(load_pairs(f"wds:{shards}").scan())


def test_a_missing_package_is_named(monkeypatch):
    def missing(*args, **kwargs):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingPackageError, match=r"s3fs to access S3\); install it with pip\.$"):
        load_pairs("wds:s3://bucket/a.tar")


def test_secrets_are_not_spoken():
    assert public_url("https://me:word@host:80/a/b.tar?token=1#x") == "https://host:80/a/b.tar"
    assert public_url("s3://bucket/a.tar") == "s3://bucket/a.tar"


def test_an_image_behind_a_url(memory):
    memory.pipe("/a.png", png())
    memory.pipe("/b.png", b"no image")
    np.testing.assert_array_equal(RemoteImage("memory://a.png", "a").load(), Image.open(io.BytesIO(png())))
    with pytest.raises(ModalensError, match="not an image"):
        RemoteImage("memory://b.png", "b").load()
    with pytest.raises(ModalensError, match=r"There is no file memory://c\.png"):
        RemoteImage("memory://c.png", "c").load()


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves one file badly: busy for the first requests, then cut short, then whole; never in ranges."""

    protocol_version = "HTTP/1.1"
    content = b""
    plan: list[str]

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if self.path.startswith("/none"):
            self.send_error(404)
            return
        step = self.plan.pop(0) if body and self.plan else "whole"
        if step == "busy":
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if body:
            self.wfile.write(self.content if step == "whole" else self.content[:200_000])
        if step == "cut":
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    pytest.importorskip("aiohttp", reason="https needs aiohttp")
    _Server.content, _Server.plan = tar(*map(str, range(40))), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_web_server_in_trouble(web, naps):
    source = load_pairs(f"wds:{web}/s.tar?token=secret")
    _Server.plan = ["busy", "cut", "cut", "whole"]
    assert [pair.id for pair in source] == [f"s/{i}" for i in range(40)]
    assert source.retries == len(naps) >= 2  # type: ignore[attr-defined]
    assert _Server.plan == []


def test_a_web_server_that_has_no_such_file_or_is_gone(web, naps):
    with pytest.raises(ModalensError, match=rf"^There is no file {web}/none\.tar\.$"):
        load_pairs(f"wds:{web}/none.tar")
    assert naps == []
    with pytest.raises(ModalensError, match=r"^http://127\.0\.0\.1:1/s\.tar could not be read in 6 tries"):
        load_pairs("wds:http://127.0.0.1:1/s.tar?token=secret")
    with RemoteFile(f"{web}/s.tar") as file:
        assert file.read_all() == _Server.content


def test_a_reply_has_a_budget_of_bytes_and_of_seconds(memory, monkeypatch, naps):
    memory.pipe("/bucket/a.png", png())
    monkeypatch.setattr(remote, "MAX_BYTES", 100)
    with pytest.raises(ModalensError, match=r"a\.png is too large: more than 100 bytes"):
        RemoteImage("memory://bucket/a.png", "a").load()
    monkeypatch.setattr(remote, "MAX_BYTES", 2**20)
    monkeypatch.setattr(remote, "MAX_SECONDS", -1.0)
    with pytest.raises(ModalensError, match=r"a\.png is sent too slowly"):
        RemoteImage("memory://bucket/a.png", "a").load()
    Flaky(memory, monkeypatch, failing=range(1, 100))
    with pytest.raises(ModalensError, match=r"a\.png could not be read in -1 s .*connection reset"):
        RemoteImage("memory://bucket/a.png", "a").load()
    assert naps == []
