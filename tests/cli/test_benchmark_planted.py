"""``modalens benchmark planted``: what it prints, keeps and refuses."""

import json

from modalens.planted.leaderboard import Leaderboard

SMALL = (
    "--worlds",
    "easy",
    "--learners",
    "topk",
    "--pairs",
    600,
    "--held-out",
    300,
    "--steps",
    5,
    "--batch-size",
    64,
)


def test_it_prints_tables_and_keeps_files(run, tmp_path):
    code, out, err = run("benchmark", "planted", *SMALL, "--out", tmp_path / "out")
    assert code == 0, err
    assert "| untrained topk |" in out
    board = Leaderboard.load(tmp_path / "out" / "planted.json")
    assert board.to_markdown() in out
    assert (tmp_path / "out" / "planted.md").read_text() == board.to_markdown()


def test_json_for_machines(run):
    code, out, err = run("benchmark", "planted", *SMALL, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [row["learner"] for row in found["rows"]] == ["topk", "untrained topk", "own dimensions"]
    assert 0 <= found["rows"][0]["measures"]["recovery"] <= 1


def test_what_there_is_not_is_a_sentence(run):
    for words in (("--worlds", "moon"), ("--learners", "none"), ("--seeds", 0)):
        code, _, err = run("benchmark", "planted", *words)
        assert code == 2
        assert err.count("\n") == 1
