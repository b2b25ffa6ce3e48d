"""``modalens run``: what people and machines see of a recipe."""

import pytest
import yaml

STEPS = {
    "embed": {"do": "embed", "run": "a", "pairs": "$pairs", "vlm": "$model", "batch_size": 16},
    "score": {"do": "score", "run": "a", "after": ["embed"], "resamples": 10},
}


@pytest.fixture
def recipe(tmp_path):
    document = {
        "name": "Tiny",
        "needs": {"hours": 2, "disk_gb": 1.5},
        "inputs": {"pairs": "csv:nowhere.csv", "model": "nobody/nothing"},
        "steps": STEPS,
        "smoke": {"inputs": {"pairs": "stand-in:pairs", "model": "stand-in:clip1"}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def test_people_read_what_is_done_and_that_stand_ins_mean_nothing(run, recipe, tmp_path):
    code, out, err = run("run", recipe, "--smoke", "--out", tmp_path / "out")
    assert code == 0, err
    assert out.startswith(f"Tiny: 2 steps into {tmp_path / 'out'}\nStand-ins take the place")
    assert out.count("the numbers mean nothing") == 2
    code, out, err = run("run", recipe, "--smoke", "--out", tmp_path / "out")
    assert code == 0, err
    assert out.count("done before") == 2


def test_machines_get_one_object(run_json, recipe, tmp_path):
    first = run_json("run", recipe, "--smoke", "--out", tmp_path / "out")
    assert first["runs"] == str(tmp_path / "out")
    assert all(seconds > 0 for seconds in first["seconds"].values())
    again = run_json("run", recipe, "--smoke", "--out", tmp_path / "out")
    assert again["seconds"] == {"embed": None, "score": None}
    assert (tmp_path / "out/a/scores/scores.json").exists()


def test_needs_are_told_before_missing_data_ends_it(run, recipe, tmp_path):
    code, out, err = run("run", recipe, "--out", tmp_path / "out")
    assert code == 2
    assert "Needs about 2 hours, 1.5 GB of disk." in out
    assert (
        err == "modalens: The step embed: There is no file 'nowhere.csv'; give one as in csv:captions.csv.\n"
    )
    assert not (tmp_path / "out/a").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "pairs"], "Write an input as NAME=VALUE, not 'pairs'."),
        (["--set", "data=csv:x.csv"], "has no 'data'; it takes pairs, model."),
        (["--set", "pairs=csv:other.csv"], "There is no file 'other.csv'"),
    ],
)
def test_wrong_inputs_end_with_one_sentence(run, recipe, tmp_path, words, sentence):
    code, _, err = run("run", recipe, "--out", tmp_path / "out", *words)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_recipes_that_come_along_are_found_by_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("run", "own_data", "--set", "pairs=csv:mine.csv")
    assert code == 2
    assert out.startswith("My model on my pairs: 11 steps into runs/own_data\n")
    assert "There is no file 'mine.csv'" in err
    code, _, err = run("run", "beyond")
    assert code == 2
    assert "The recipe beyond cannot be read" in err
