"""No key and no credentials of a URL are printed, logged or kept, whatever goes wrong."""

import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import webdataset
from PIL import Image

from modalens import cli

SECRET, KEY = "planted-password-1234", "planted-key-5678"
Main = Callable[..., tuple[int, str]]


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Main:
    """Run a command line; its exit code, and all that it printed, logged and wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("modalens.pairs.remote.DELAYS", (0.01,))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", KEY)

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["modalens", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
        names = [str(path) for path in tmp_path.rglob("*")]
        return int(ended.value.code or 0), "\n".join([said.out, said.err, *names, *written])

    return run


@pytest.fixture
def bucket(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a shard lies behind a URL whose query is a secret, as those are that were signed."""
    file = tmp_path_factory.mktemp("shards") / "a.tar"
    with webdataset.TarWriter(str(file)) as writer:
        for number in range(3):
            image = Image.new("RGB", (32, 32), (80 * number, 0, 0))
            writer.write({"__key__": f"{number}", "png": image, "txt": f"picture {number}"})
    fsspec.filesystem("memory").pipe(f"/bucket/a.tar?sig={SECRET}", file.read_bytes())
    return "memory://bucket"


@pytest.mark.parametrize("source", ["wds:http://me:{secret}@{host}/a.tar", "wds:{bucket}/none.tar?sig={secret}",
                                    "wds:{bucket}/{{0..2}}.tar?sig={secret}", "csv:http://me:{secret}@{host}/a.csv",
                                    "http://me:{secret}@{host}/a.tar", "hf:http://me:{secret}@{host}/a"])  # fmt: skip
def test_no_secret_of_a_source_that_fails(main: Main, bucket: str, source: str, tiny_clip: Path) -> None:
    code, all_of_it = main(
        "-v",
        "embed",
        source.format(host="127.0.0.1:9", bucket=bucket, secret=SECRET),
        "--vlm",
        tiny_clip,
        "--out",
        "store",
    )
    assert code == 2
    assert SECRET not in all_of_it


def test_no_secret_of_a_source_that_is_read(main: Main, bucket: str, tiny_clip: Path) -> None:
    code, all_of_it = main(
        "-v", "embed", f"wds:{bucket}/a.tar?sig={SECRET}", "--vlm", tiny_clip, "--out", "store"
    )
    assert code == 0, all_of_it
    assert "a.tar" in all_of_it
    assert SECRET not in all_of_it


@pytest.mark.parametrize("field", ["source", "model"])
def test_no_secret_of_a_recipe(main: Main, tmp_path_factory: pytest.TempPathFactory, field: str) -> None:
    recipe = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    recipe.write_text(f"name: x\n{field}: wds:http://me:{SECRET}@127.0.0.1:9/a.tar\nsteps: [1]\n")
    code, all_of_it = main("run", recipe)
    assert code == 2
    assert SECRET not in all_of_it


def test_no_secret_of_another_library(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HTTP clients raise of a header that they refuse to send."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"Illegal header value b'Bearer {KEY}' for https://me:{SECRET}@host/a")

    monkeypatch.setattr("modalens.cli.app.app", fail)
    code, all_of_it = main("embed")
    assert code == 1
    assert "Bearer ***" in all_of_it
    assert SECRET not in all_of_it
    assert KEY not in all_of_it


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "Memory ran out; lower --batch-size"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "Memory ran out",
        ),
        (RuntimeError("CUDA error: out of memory"), "The memory of the GPU ran out"),
    ],
)
def test_memory_that_runs_out_is_a_sentence(
    main: Main, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("modalens.cli.app.app", fail)
    code, all_of_it = main("embed")
    assert code == 2
    assert words in all_of_it
    assert "bug" not in all_of_it
