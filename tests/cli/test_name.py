"""Naming features on the command line, and the names in explanations."""

import numpy as np
import pytest

from modalens.runs.naming import read_vocabulary


def test_names_by_captions_and_by_a_vocabulary(made, run, run_json):
    found = run_json("name", made, "--features", "sae", "--shuffles", 19)
    assert [row["way"] for row in found["summary"]] == ["captions"]
    assert len(found["names"]) == 16
    words = made.parent / "words.txt"
    words.write_text("tea\nred\ngreen\nbluish\n", encoding="utf-8")
    given = ("name", made, "--features", "sae", "--source", "vocabulary", "--vocabulary", words)
    found = run_json(*given)
    assert [row["way"] for row in found["summary"]] == ["plain", "without the gap"]
    assert {row["name"] for row in found["names"]} <= {"tea", "red", "green", "bluish"}
    kept = (made / "features" / "sae" / "names" / "names.parquet").stat().st_mtime_ns
    assert run_json(*given) == found
    assert (made / "features" / "sae" / "names" / "names.parquet").stat().st_mtime_ns == kept
    explained = run_json("explain", made, "--features", "sae", "--text", "tea")
    standing = {place: row["name"] if row["stands"] else "" for place, row in enumerate(found["names"])}
    assert all(each["name"] == standing[each["feature"]] for each in explained["features"])
    both = ("explain", made, "--features", "sae", "--text", "tea", "--image", made.parent / "red.png")
    found = run_json(*both)
    fires = {
        each["feature"]: {side for side in ("image", "text") if each[side]} for each in found["features"]
    }
    assert {"image"} in fires.values()
    for each in found["features"]:
        assert each["on"] == ("both" if len(fires[each["feature"]]) == 2 else fires[each["feature"]].pop())
    code, out, _ = run(*both)
    assert code == 0
    assert "Energy of the image by class" in out
    np.save(made.parent / "words.npy", np.zeros((3, 6), np.float32))
    code, _, err = run(*given, "--vocabulary-embeddings", made.parent / "words.npy")
    assert code == 2
    assert "give one row a word" in err


def test_words_that_cannot_be_read_cost_themselves(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufefftea\n\0\n  \nred\0x\n" + "a" * 2_000_000 + "\n", encoding="utf-8")
    assert read_vocabulary(path) == ["tea", "red\ufffdx", "a" * 60]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--source", "vocabulary"), "give both or neither"),
        (("--source", "vocabulary", "--vocabulary", "missing.txt"), "missing.txt"),
        (("--source", "magic"), "source"),
        (("--source", "vocabulary", "--vocabulary", "{here}/empty.txt"), "has 0 words"),
        (("--source", "vocabulary", "--vocabulary", "{here}/twice.txt"), "has one word, 'tea', 2 times"),
        (
            (
                "--source",
                "vocabulary",
                "--vocabulary",
                "{here}/two.txt",
                "--vocabulary-embeddings",
                "{here}/9.npy",
            ),
            "embeddings have 9 numbers",
        ),
    ],
)
def test_what_cannot_be_named_is_one_sentence(made, run, words, sentence):
    for name, text in (("empty", "\n \n"), ("twice", "tea\n tea \n"), ("two", "tea\nred\n")):
        (made.parent / f"{name}.txt").write_text(text, encoding="utf-8")
    np.save(made.parent / "9.npy", np.ones((2, 9), np.float32))
    code, _, err = run("name", made, "--features", "sae", *(word.format(here=made.parent) for word in words))
    assert code == 2
    assert sentence in err
