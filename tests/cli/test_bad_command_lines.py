"""Every bad command line is one sentence and exit code 2, before any work, and nothing is lost."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.cli.app import app
from modalens.features.registry import commands as learners
from modalens.options import about_of
from modalens.studies.registry import study_names
from tests.cli.test_options_everywhere import CASES, _fields_of, _options_of
from tests.torture.rounds import contents

Run = Callable[..., tuple[int, str, str]]
_NEEDED = {"embed": ["no-such:source", "--vlm", "no-such:model"]}


def commands() -> list[list[str]]:
    """Every command there is."""
    groups = {"train": learners(), "study": study_names(), "benchmark": ("speed", "planted")}
    return [[name, each] for name, known in groups.items() for each in known] + [
        [name] for name in app.commands if name not in groups
    ]


def refused(found: tuple[int, str, str], printed: bool = False) -> str:
    """The sentence of a refusal; ``printed``: something may have been said before."""
    code, out, err = found
    said = [line for line in err.splitlines() if line.startswith("modalens: ")]
    assert code == 2, err
    assert len(said) == 1, err
    assert err.splitlines()[-1] == said[0]
    assert printed or not out
    assert "bug in modalens" not in err
    assert "Traceback" not in err
    return said[0]


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose embeddings are a bare store."""
    folder = tmp_path_factory.mktemp("bad") / "run"
    rng = np.random.default_rng(0)
    for name in ("img_emb", "text_emb"):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / f"{name}_0.npy", rng.normal(size=(12, 6)).astype(np.float32))
    return folder


def _wrong_values() -> Iterator[Any]:
    """A command, an option and a value of the wrong kind for it, for every option there is."""
    for case in CASES:
        words, do, settings = case.values
        shown = _options_of(list(words))  # type: ignore[call-overload]
        for name, field in _fields_of(do, settings).items():  # type: ignore[arg-type]
            if name not in shown or name in settings:  # type: ignore[operator]
                continue
            kind = str(field.type)
            if "bool" in kind:
                continue
            about = about_of(field)
            values = [""]
            if "int" in kind or "float" in kind:
                values += ["nan", "inf", "-inf", "many", "1e400"]
            if "int" in kind:
                values += ["1.5", "0x10", str(10**30), str(-(10**30))]
            if about.least is not None:
                values.append(str(about.least - 1))
            if about.most is not None:
                values.append(str(about.most + 1))
            yield pytest.param(words, name, values, id=f"{'-'.join(words)}-{name}")  # type: ignore[arg-type]


@pytest.mark.parametrize(("words", "name", "values"), _wrong_values())
def test_a_value_of_the_wrong_kind_is_refused_before_any_work(
    words: list[str], name: str, values: list[str], run: Run, small_store: Path
) -> None:
    before = contents(small_store)
    arguments = _NEEDED.get(words[0], [small_store])
    flag = f"--{name.replace('_', '-')}"
    for value in values:
        said = refused(run(*words, *arguments, f"{flag}={value}"))
        assert flag in said or name in said, said
    assert contents(small_store) == before


@pytest.mark.parametrize("words", commands(), ids="-".join)
def test_words_that_are_no_command_line(words: list[str], run: Run) -> None:
    assert "--no-such-option" in refused(run(*words, "--no-such-option"))
    assert "is empty" in refused(run(*words, ""))
    if "out" in _options_of(words):
        assert "--out is empty" in refused(run(*words, "--out", ""))
        assert "--out" in refused(run(*words, "x", "--out"))
    if words == ["benchmark", "speed"]:
        assert "There is no row 'a'" in refused(run(*words, *"abcdefgh"))
    elif words[0] in ("compare", "explore", "models"):  # of any number of runs
        assert "There is no run at" in refused(run(*words, *"abcdefgh"))
    elif words[0] != "agreement":
        needed = ("--to", "csv") if words == ["export"] else ()
        assert "nexpected extra argument" in refused(run(*words, *needed, *"abcdefgh"))
    if words[0] not in ("demo", "study", "benchmark"):
        assert "Missing argument" in refused(run(*words))


def _inputs() -> Iterator[Any]:
    for words in commands():
        if words != ["demo"]:
            yield pytest.param(words, id="-".join(words))


@pytest.mark.parametrize("words", _inputs())
def test_inputs_that_are_not_there_or_of_another_kind(words: list[str], run: Run, tmp_path: Path) -> None:
    """Missing files, a folder for a file and the reverse, empty ones, and names that no system has."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("nothing")
    folder.mkdir()
    more = ["--vlm", "no-such:model"] if words == ["embed"] else []
    before = contents(tmp_path)
    for given in (
        tmp_path / "missing",
        file,
        folder,
        file / "within",
        tmp_path / ("n" * 300),
        "no-such:thing",
    ):
        refused(run(*words, given, *more, "--out", tmp_path / "out"))
        if "vlm" not in words and words[0] in ("train", "score"):
            refused(run(*words, tmp_path / "missing.npy", "--out", tmp_path / "out"))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)  # at most a lock lies there
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ["score"],
        ["train", "sae", "--n-features", "8", "--k", "2", "--steps", "2", "--batch-size", "4"],
        ["study", "removal"],
        ["export", "--to=csv"],
        ["report"],
        ["run"],
    ],
    ids=lambda words: words[0],
)
def test_an_out_that_is_a_file_is_refused_and_kept(
    words: list[str], run: Run, small_store: Path, tmp_path: Path
) -> None:
    store = tmp_path / "run"
    shutil.copytree(small_store, store)
    given = store
    if words == ["run"]:
        given = tmp_path / "recipe.yaml"
        given.write_text("steps: {score: {do: score, run: a}}")
    out = tmp_path / "out"
    out.write_text("kept")
    for where in (out, out / "within"):
        said = refused(run(*words[:2], given, *words[2:], "--out", where), printed=words == ["run"])
        assert str(where) in said or str(out) in said
        assert out.read_text() == "kept"
