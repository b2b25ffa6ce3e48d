"""What is printed of other people's words: no markup, no control characters, in any encoding."""

import json
import sys
from io import BytesIO, TextIOWrapper

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from modalens.cli import main
from modalens.cli.output import frame_table, print_frame, print_json, print_sentences
from modalens.errors import ModalensError
from modalens.store.lock import alone_in

HOSTILE = "[/b] [red]\x1b]0;title\x07 \u202eabc\nnext"


def test_tables_and_sentences_hold_no_markup_and_move_no_cursor(capsys):
    Console().print(frame_table(pd.DataFrame({HOSTILE: [HOSTILE], "x": [1.0]}), HOSTILE))
    print_sentences([HOSTILE], "- ")
    said = capsys.readouterr().out
    assert "[/b]" in said
    assert "[red]" in said
    assert not set("\x1b\x07\u202e") & set(said)


@pytest.mark.parametrize("width", [30, 80, 200])
def test_a_terminal_narrower_than_a_table_loses_no_figure(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    values = 0.001 * np.arange(24).reshape(2, 12) + 0.123
    frame = pd.DataFrame(values, columns=[f"measure {number}" for number in range(12)])
    print_frame(frame.assign(n=[8128, 8256])[["n", *frame.columns]], "Sizes")
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(f"{value:.3f}" in said for value in values.flat)
    assert max(map(len, said.splitlines())) <= width
    tables = said.count("Sizes")
    assert said.count("8128") == tables, "the first column stands in every part"
    assert (tables == 1) == (width == 200)


def test_a_folder_named_like_markup(run, tmp_path):
    folder = tmp_path / "a[" / "b]"
    for name in ("img_emb", "text_emb"):
        (folder / name).mkdir(parents=True)
        values = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
        np.save(folder / name / f"{name}_0.npy", values)
    code, out, err = run("score", folder, "--resamples", 5)
    assert code == 0, err
    assert "b]: 12 pairs" in "".join(out.split("\n"))


def test_json_is_ascii(capsys):
    print_json({"caption": "caf\u00e9 \U0001f600 \udcff"})
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said) == {"caption": "caf\u00e9 \U0001f600 \udcff"}


def test_a_terminal_of_few_letters_takes_all(made, monkeypatch):
    words = ["explain", str(made), "--features", "sae", "--text", "th\u00e9 \udcff"]
    monkeypatch.setattr(sys, "argv", ["modalens", *words, "--image", str(made.parent / "red.png")])
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, "ascii"))
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    assert b"of the image by class" in raw.getvalue()


def test_letters_that_nothing_draws_are_drawn_as_such(made, run_json):
    picture = made.parent / "p.png"
    words = ("explain", made, "--features", "sae", "--text", "tea \udcff", "--picture", picture)
    assert run_json(*words)["samples"]["text"]["sample"] == "tea \ufffd"
    assert picture.stat().st_size > 0


def test_a_sentence_of_an_error_is_one_line(run, tmp_path):
    code, _, err = run("score", tmp_path / "a\nb\x1b[2J")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err


def test_a_folder_whose_name_is_no_text_is_refused_as_what_it_is(run, tmp_path):
    folder = tmp_path / "run\udcff"
    (folder / "img_emb").mkdir(parents=True)
    for words in (("score", folder), ("report", folder), ("models", folder)):
        code, _, err = run(*words)
        assert code == 2
        assert "no UTF-8 text" in err
    with (
        pytest.raises(ModalensError, match=r"run\\udcff has letters that are no UTF-8 text"),
        alone_in(folder),
    ):
        pass
