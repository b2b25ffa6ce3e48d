import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile

import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs


def png(colour="red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def shard(path, files):
    """Write (name, content) files to a tar; content is bytes, text, or an object for JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files:
            if isinstance(content, str):
                content = content.encode()
            elif not isinstance(content, bytes):
                content = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def samples(*keys):
    return [file for key in keys for file in ((f"{key}.png", png()), (f"{key}.txt", f"caption of {key}"))]


def test_braces_over_two_shards_in_order(tmp_path):
    shard(tmp_path / "s-00001.tar", samples("c", "a"))
    shard(tmp_path / "s-00000.tar", samples("z", "b"))
    source = load_pairs(f"wds:{tmp_path}/s-{{00000..00001}}.tar")
    pairs = list(source.scan())
    assert [pair.id for pair in pairs] == ["s-00000/z", "s-00000/b", "s-00001/c", "s-00001/a"]
    assert [pair.text for pair in pairs] == ["caption of z", "caption of b", "caption of c", "caption of a"]
    assert pairs[0].ref.key == "s-00000/z.png"
    assert pairs[0].image.getpixel((0, 0)) == (255, 0, 0)
    assert source.count() is None
    assert source.card()["shards"] == ["s-00000", "s-00001"]
    assert [pair.id for pair in source] == [pair.id for pair in pairs]
    reverse = load_pairs(f"wds:{tmp_path}/s-00001.tar::{tmp_path}/s-00000.tar")
    assert next(pair.id for pair in reverse) == "s-00001/c"


def test_wildcards_are_sorted(tmp_path, monkeypatch):
    for number in range(3):
        shard(tmp_path / f"{number}.tar", samples("a"))
    monkeypatch.chdir(tmp_path)
    assert [pair.id for pair in load_pairs("wds:*.tar")] == ["0/a", "1/a", "2/a"]


def test_shards_of_one_name_in_two_folders(tmp_path):
    for folder in ["train", "val"]:
        shard(tmp_path / folder / "0000.tar", samples("a"))
    ids = [pair.id for pair in load_pairs(f"wds:{tmp_path}/{{train,val}}/0000.tar")]
    assert ids == ["train/0000.tar/a", "val/0000.tar/a"]


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "JPG"])
def test_image_parts(tmp_path, suffix):
    shard(tmp_path / "s.tar", [(f"a.{suffix}", png()), ("a.txt", "a"), ("a.cls", "7")])
    (pair,) = load_pairs(f"wds:{tmp_path}/s.tar")
    assert pair.image.size == (4, 4)


def test_json_gives_captions_and_labels(tmp_path):
    fields = {"caption": " one ", "width": 4, "ok": True, "source": "web", "tags": ["x"], "none": None}
    shard(
        tmp_path / "s.tar",
        [
            ("a.png", png()),
            ("a.json", fields),
            ("b.png", png()),
            ("b.json", {"text": "two"}),
            ("c.png", png()),
            ("c.txt", "the txt wins"),
            ("c.json", {"caption": "not this", "n": 1}),
        ],
    )
    a, b, c = load_pairs(f"wds:{tmp_path}/s.tar")
    assert (a.text, a.label) == ("one", {"width": 4, "ok": True, "source": "web"})
    assert (b.text, b.label) == ("two", {})
    assert (c.text, c.label) == ("the txt wins", {"n": 1})


def test_several_captions_share_the_image(tmp_path):
    shard(
        tmp_path / "s.tar",
        [
            ("d/a.png", png()),
            ("d/a.json", {"caption": ["one", " ", "three", 4]}),
            ("b.png", png()),
            ("b.json", {"caption": ["alone"]}),
        ],
    )
    items = list(load_pairs(f"wds:{tmp_path}/s.tar").scan())
    assert [item.id for item in items] == ["s/d/a#0", "s/d/a#1", "s/d/a#2", "s/d/a#3", "s/b"]
    assert [type(item) for item in items] == [Pair, Skipped, Pair, Skipped, Pair]
    assert items[0].ref.key == items[2].ref.key == "s/d/a.png"


def test_bad_samples_are_skipped_with_a_reason(tmp_path):
    shard(
        tmp_path / "s.tar",
        [
            ("a.txt", "no image"),
            ("b.png", png()),
            ("c.png", png()),
            ("c.txt", " \n"),
            ("d.png", png()),
            ("d.txt", "café".encode("latin-1")),
            ("e.png", png()),
            ("e.json", b"{not json"),
            ("f.png", png()),
            ("f.json", ["a", "list"]),
            ("g.png", png()),
            ("g.json", {"caption": []}),
            ("h.png", png()),
            ("h.json", {"caption": None}),
            ("i.png", png()),
            ("i.json", {"title": "no caption"}),
            *samples("ok"),
            ("j.png", png()),
            ("j.json", b"\xff\xfe"),
            *samples("ok"),
        ],
    )
    items = list(load_pairs(f"wds:{tmp_path}/s.tar").scan())
    assert [item.id for item in items if isinstance(item, Pair)] == ["s/ok"]
    reasons = {item.id: item.reason for item in items if isinstance(item, Skipped)}
    assert len(reasons) == len(items) - 1 == 11
    for name, words in {
        "s/a": "no image",
        "s/b": "no caption",
        "s/c": "empty",
        "s/d": "not UTF-8",
        "s/e": "json is not valid JSON (Expecting",
        "s/f": "json holds a list, not an object",
        "s/g": "empty list",
        "s/h": "not text",
        "s/i": "no caption",
        "s/j": "json is not UTF-8 text",
        "s/ok (sample 12)": "earlier sample",
    }.items():
        assert words in reasons[name]


class _Trap:
    def __reduce__(self):
        return (os.system, ("touch sprung",))


def test_pickled_parts_are_never_decoded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap = pickle.dumps(_Trap())
    parts = [(f"a.{suffix}", trap) for suffix in ("pyd", "pickle", "pkl", "pth", "pt", "npy")]
    shard(tmp_path / "s.tar", [*samples("a"), *parts])
    (pair,) = load_pairs("wds:s.tar")
    assert pair.image.size == (4, 4)
    assert not (tmp_path / "sprung").exists()


def test_a_pipe_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModalensError, match=r"There is no shard"):
        load_pairs("wds:pipe:touch sprung")
    assert not (tmp_path / "sprung").exists()


def test_a_shard_cut_anywhere_is_noticed(tmp_path):
    whole = shard(tmp_path / "whole.tar", samples("a", "b", "c")).read_bytes()
    content = 6 * 1024  # each file is a header and a block; what follows are end marks and padding
    cut = tmp_path / "cut.tar"
    for length in sorted({0, 1, 511, 512, 513, *range(0, content + 1, 200), *range(0, content + 1, 512)}):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModalensError, match=r"The shard '.*cut\.tar' is damaged or cut short .*\.$"):
            list(load_pairs(f"wds:{cut}"))
    cut.write_bytes(whole[: content + 512])
    assert len(list(load_pairs(f"wds:{cut}"))) == 3


def test_the_pairs_before_the_damage_are_given_and_the_place_is_named(tmp_path):
    path = shard(tmp_path / "s.tar", samples("a", "b", "c"))
    path.write_bytes(path.read_bytes()[: 4 * 1024 + 550])  # in the picture of c
    walk = load_pairs(f"wds:{path}").scan()
    assert next(walk).id == "s/a"
    with pytest.raises(ModalensError, match=r"in the file 'c\.png' at byte 4096"):
        list(walk)


def test_garbage_between_two_files_is_noticed(tmp_path):
    path = shard(tmp_path / "s.tar", samples("a", "b", "c"))
    data = bytearray(path.read_bytes())
    data[2048:2560] = os.urandom(512)
    path.write_bytes(data)
    with pytest.raises(ModalensError, match=r"after the file 'a\.txt' .*byte 2048"):
        list(load_pairs(f"wds:{path}"))


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\x89PNG" * 1000])
def test_not_a_tar(tmp_path, content):
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(ModalensError, match="damaged or cut short at its start"):
        list(load_pairs(f"wds:{tmp_path}/s.tar"))


def test_compressed_shards(tmp_path):
    whole = gzip.compress(shard(tmp_path / "s.tar", samples("a", "b")).read_bytes())
    path = tmp_path / "s.tar.gz"
    path.write_bytes(whole)
    assert [pair.id for pair in load_pairs(f"wds:{path}")] == ["s/a", "s/b"]
    for data in [whole[: len(whole) // 2], whole[:40] + b"\0" * 40 + whole[80:]]:
        path.write_bytes(data)
        with pytest.raises(ModalensError, match="damaged or cut short"):
            list(load_pairs(f"wds:{path}"))


def test_two_files_of_one_name(tmp_path):
    path = shard(tmp_path / "s.tar", [("a.png", png()), ("a.png", png()), ("a.txt", "a")])
    with pytest.raises(ModalensError, match=r"two files of one name \(a\.png"):
        list(load_pairs(f"wds:{path}"))


def test_bad_patterns(tmp_path):
    shard(tmp_path / "0.tar", samples("a"))
    for pattern, words in {
        "": "No shards are given",
        f"{tmp_path}/{{0..1}}.tar": r"There is no shard '.*/1\.tar', which '.*\{0\.\.1\}\.tar' stands for",
        f"{tmp_path}/x*.tar": "There is no shard",
        f"{tmp_path}/{{0..1": "cannot be expanded",
        "${NOT_SET_ANYWHERE}.tar": "cannot be expanded",
        f"{tmp_path}/0.tar::{tmp_path}/*.tar": "given twice",
    }.items():
        with pytest.raises(ModalensError, match=words):
            load_pairs(f"wds:{pattern}")


def test_names_with_dots_are_each_listed(tmp_path):
    shard(tmp_path / "s.tar", samples(*(f"trip.2019.0{number}" for number in range(3)), "ok"))
    items = list(load_pairs(f"wds:{tmp_path}/s.tar").scan())
    assert [item.id for item in items] == [*(f"s/trip.2019.0{number}" for number in range(3)), "s/ok"]
    assert "'trip.2019.00.png' is the part '2019.00.png' of the sample 'trip'" in items[0].reason
    assert "first dot" in items[0].reason


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_other_images_that_pillow_reads(tmp_path, kind):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, kind)
    suffix = {"TIFF": "tif", "JPEG2000": "jp2"}.get(kind, kind.lower())
    shard(tmp_path / "s.tar", [(f"a.{suffix}", buffer.getvalue()), ("a.txt", "a")])
    (pair,) = load_pairs(f"wds:{tmp_path}/s.tar")
    assert pair.image.size == (16, 16)


def test_json_that_nothing_can_keep_costs_its_sample(tmp_path):
    deep = b'{"caption": "x", "d": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    many = {"caption": "x", **{f"f{number}": 1 for number in range(2000)}}
    fields = {"caption": "so cute \ud83d", "phash": 2**63 + 5, "\ud83d": "\ud83d", "n": -(2**70)}
    content = [fields, deep, many, b'{"caption": "a", "caption": "b"}', {"caption": "y"}]
    files = [
        file for key, each in enumerate(content) for file in ((f"{key}.png", png()), (f"{key}.json", each))
    ]
    first, nested, wide, twice, last = load_pairs(f"wds:{shard(tmp_path / 's.tar', files)}").scan()
    assert (first.text, first.label) == (
        "so cute \ufffd", {"phash": str(2**63 + 5), "\ufffd": "\ufffd", "n": str(-(2**70))},
    )  # fmt: skip
    assert nested.reason == "The sample's json is nested more than 100 deep."
    assert "2,001 fields" in wide.reason
    assert "names the key 'caption' twice" in twice.reason
    assert last.text == "y"


def claim(name, size, kind=tarfile.REGTYPE):
    """A header that claims a size, with nothing behind it."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_small_archives_that_claim_gigabytes_take_no_memory(tmp_path):
    whole = shard(tmp_path / "s.tar", samples("a")).read_bytes()[:2048]
    huge = claim("b.png", 2**33)
    sparse = bytearray(claim("b.png", 512, b"S"))
    sparse[483:495] = b"%011o\0" % (2**33 - 1)  # its real size
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    text = bytes(1024)
    path = tmp_path / "t.tar"
    path.write_bytes(whole + bytes(sparse) + b"x" * 512 + claim("b.txt", 1) + b"b".ljust(512, b"\0") + text)
    first, second = load_pairs(f"wds:{path}").scan()
    assert isinstance(first, Pair)
    assert second.reason == "The file 'b.png' holds 8,589,934,591 bytes."
    for data, words in {
        whole + huge: "damaged or cut short after the file 'b.png'",
        whole + claim("p", 2**33, tarfile.XHDTYPE): "a header of 8,589,934,592 bytes",
        whole + claim("p", 2**33, tarfile.GNUTYPE_LONGNAME): "a header of 8,589,934,592 bytes",
        whole + claim("p", 512, tarfile.XGLTYPE) * 5000: "damaged or cut short",
        whole
        + claim("p", 512, tarfile.XHDTYPE)
        + b"9" * 400
        + b" a=b\n".ljust(112, b"x"): "damaged or cut short",
    }.items():
        path.write_bytes(data)
        with pytest.raises(ModalensError, match=words):
            list(load_pairs(f"wds:{path}"))


def test_a_compressed_archive_may_not_unpack_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("modalens.pairs.archives._FREE_BYTES", 2**20)
    whole = shard(tmp_path / "s.tar", samples("a")).read_bytes()[:2048]
    path = tmp_path / "t.tar"
    for pack in (bz2.compress, gzip.compress, lzma.compress):
        path.write_bytes(pack(whole + claim("b.npy", 2**24) + bytes(2**24) + bytes(1024)))
        with pytest.raises(ModalensError, match=r"bytes unpack to more than .* as no pictures do"):
            list(load_pairs(f"wds:{path}"))
        path.write_bytes(pack(whole + bytes(1024)))
        assert len(list(load_pairs(f"wds:{path}"))) == 1


def test_ranges_without_end_are_refused_at_once(tmp_path):
    for pattern in ("{0..999999999}.tar", "{0..9999}{0..9999}.tar", "{a,b}" * 40):
        with pytest.raises(ModalensError, match="are more than 100,000"):
            load_pairs(f"wds:{tmp_path}/{pattern}")


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(ModalensError, match=r"There is no shard '.*': it is a folder"):
        load_pairs(f"wds:{tmp_path}")
