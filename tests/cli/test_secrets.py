"""No key and no credentials of a URL are printed, logged or kept, whatever goes wrong."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import fsspec
import numpy as np
import pytest
import webdataset
from PIL import Image

from modalens import cli
from modalens.runs.exporting import TARGETS
from tests.clip import save_clip
from tests.studies.adversarial_images.chat_server import chat_server, says

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
    ("words", "lower", "on_cpu"),
    [
        ("embed x", "lower --batch-size or --workers,", "--device cpu"),
        ("train sae x", "lower --batch-size or --n-features,", "--device cpu"),
        ("score x", "lower --workers or --resamples,", "--device cpu"),
        ("interpret x", "lower --workers or --m,", "--device cpu"),
        ("study removal x", "lower --max-pairs or --draws,", "CUDA_VISIBLE_DEVICES="),
        ("report x", "lower --max-features or --top,", "CUDA_VISIBLE_DEVICES="),
        ("run x", "lower batch_size, workers or n_features of the step,", "CUDA_VISIBLE_DEVICES="),
    ],
)
def test_memory_names_options_that_the_command_has(words: str, lower: str, on_cpu: str) -> None:
    for error in (MemoryError(), RuntimeError("CUDA error: out of memory")):
        assert lower in cli._of_memory(error, words.split())
    assert on_cpu in cli._of_memory(RuntimeError("CUDA error: out of memory"), words.split())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "Memory ran out; "),
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


@pytest.fixture
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shard with labels behind a signed URL, and, for who opens it again, behind the same URL without signature."""
    file = tmp_path_factory.mktemp("signed") / "a.tar"
    rng = np.random.default_rng(0)
    with webdataset.TarWriter(str(file)) as writer:
        for number in range(60):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            about = {
                "split": "train" if number % 2 else "held-out",
                "category": ("red", "green")[number // 2 % 2],
                "gender": ("man", "woman")[number // 4 % 2],
            }
            text = f"a {about['category']} cat of a {about['gender']} {number}"
            writer.write({"__key__": f"{number}", "png": Image.fromarray(pixels), "txt": text, "json": about})
    far = fsspec.filesystem("memory")
    query = f"X-Amz-Signature={SECRET}&token={SECRET}&sig={SECRET}"
    for name in ("a.tar", f"a.tar?{query}"):
        far.pipe(f"/signed/{name}", file.read_bytes())
    yield f"wds:memory://signed/a.tar?{query}"
    far.rm("/signed", recursive=True)


@pytest.mark.slow
def test_no_secret_in_any_output_of_a_whole_run(
    main: Main, signed: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every command, by files and by what is printed; the chat server says the key that it was sent."""
    model = save_clip(tmp_path_factory.mktemp("clip") / "clip", side=112)
    recipe = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    recipe.write_text(
        f"name: x\ninputs: {{pairs: '{signed}'}}\nsteps:\n  embed: {{do: embed, run: main, pairs: $pairs, "
        f"vlm: {model}}}\n  score: {{do: score, run: main, after: [embed], resamples: 50}}\n"
        "  report: {do: report, run: main, after: [score]}\n"
    )
    brief = (
        "--split",
        "train",
        "--steps",
        60,
        "--batch-size",
        32,
        "--log-every",
        30,
        "--checkpoint-every",
        30,
    )
    judged = ("--image-embedder", f"vlm:{model}", "--text-embedder", "own", "--m", 5, "--draws", 2)
    with chat_server(lambda _: says(f"the key is {KEY}")) as log:
        server = f"{log.url}#model"
        for words in (
            ("embed", signed, "--vlm", model, "--out", "run/embeddings", "--rows-per-shard", 16),
            ("score", "run", "--split", "held-out", "--resamples", 50),
            ("train", "sae", "run", "--out", "run/features/sae", "--n-features", 32, "--k", 4, *brief),
            ("interpret", "run", *judged, "--shuffles", 100),
            ("study", "stability", "run"),
            ("study", "removal", "run", "--features", "raw", "--draws", 20),
            ("study", "gender", "run", "--features", "raw", "--draws", 20),
            ("study", "close-gap", "run", "--draws", 5, "--folds", 2),
            (
                *(
                    "study",
                    "adversarial",
                    "run",
                    "--features",
                    "raw",
                    "--images",
                    1,
                    "--runs",
                    2,
                    "--tries",
                    1,
                ),
                *("--attack-steps", 5, "--defence-steps", 3, "--victim", server, "--judge", server),
            ),
            ("study", "steer", "run", "--draws", 5, "--random-directions", 200),
            ("study", "known-gap", "run", "--levels", 3, "--resamples", 50),
            ("name", "run", "--features", "raw", "--model", server, "--shuffles", 19),
            ("explain", "run", "--features", "sae", "--text", "a red cat", "--picture", "explained.png"),
            *(("export", "run", "--features", "sae", "--to", to) for to in TARGETS),
            ("report", "run"),
            ("annotate", "run", "--features", "sae", "--max-features", 4, "--top", 4),
            ("compare", "run", "--latex"),
            ("run", recipe, "--out", "recipe"),
        ):
            code, all_of_it = main("-v", *words)
            assert code == 0, (words, all_of_it[:3000])
            assert "a.tar" in all_of_it, "the source is named"
            for secret in (SECRET, KEY):
                place = all_of_it.find(secret)
                assert place < 0, (words, all_of_it[max(place - 300, 0) : place + 100])
        assert any(headers.get("Authorization") == f"Bearer {KEY}" for headers in log.headers)
    if find_spec("krippendorff") is not None:
        code, all_of_it = main("-v", "agreement", *_answered(Path("run/annotation")), "--out", "agreement")
        assert code == 0, all_of_it[:3000]
        assert not any(secret in all_of_it for secret in (SECRET, KEY))
    if find_spec("uvicorn") is not None:
        _no_secret_in_the_explorer(Path("run"))


def _answered(page: Path) -> Iterator[object]:
    """What two raters saved, and the option that names the key."""
    key = json.loads((page / "key.json").read_text())
    for rater in ("Ada", "Bo"):
        answers = {str(item["item"]): key["choices"][0] for item in key["items"]}
        saved = {"kind": "modalens answers", "schema_version": 1, "page": key["page"], "rater": rater}
        path = page / f"{rater}.json"
        path.write_text(json.dumps({**saved, "choices": key["choices"], "answers": answers}))
        yield path
    yield from ("--key", page / "key.json")


def _no_secret_in_the_explorer(run: Path) -> None:
    from tests.explore.conftest import served

    with served(run) as explorer:
        (listed,) = explorer.json("/api/runs")["runs"]
        one = f"/api/{listed['key']}/sae"
        own = explorer.json(f"/api/{listed['key']}/text", {"text": "a red cat"})
        steer = {"features": [0], "gain": 2.0, "side": "image"}
        asked: list[tuple[str, object]] = [("/", None), (f"/api/{listed['key']}", None)]
        asked += [
            (f"{one}/{each}", None) for each in ("features", "features/0", "pairs", "pairs/0", "shared")
        ]
        asked += [(f"{one}/own/{own['key']}", None), (f"/media/{listed['key']}/0", None)]
        asked += [(f"{one}/steer", {**steer, "row": 0}), (f"{one}/edits", steer), ("/api/none", None)]
        for path, body in asked:
            _, headers, data = explorer.ask(path, body)
            for secret in (SECRET.encode(), KEY.encode()):
                assert secret not in data + str(headers).encode(), path
    for file in run.rglob("*"):
        if file.is_file():
            assert not any(secret.encode() in file.read_bytes() for secret in (SECRET, KEY)), file


def test_no_secret_of_a_traceback(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        try:
            raise OSError(f"https://me:{SECRET}@host/a.tar")
        except OSError as error:
            raise RuntimeError(f"Illegal header value b'Bearer {KEY}'") from error

    monkeypatch.setattr("modalens.cli.app.app", fail)
    monkeypatch.setenv("MODALENS_DEBUG", "1")
    code, all_of_it = main("embed")
    assert code == 1
    assert "in fail" in all_of_it
    assert all_of_it.count("Traceback") == 2
    assert "OSError: https://host/a.tar" in all_of_it
    shown = "\n".join(line for line in all_of_it.splitlines() if not line.lstrip().startswith("raise "))
    assert SECRET not in shown
    assert KEY not in shown
