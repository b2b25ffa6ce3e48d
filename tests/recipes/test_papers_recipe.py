"""The recipes that are shipped: what they need, name and cost, and that the papers' runs on stand-ins."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.recipes.comparison import COLUMNS, as_markdown, compare
from modalens.recipes.execute import _keyed, run_recipe
from modalens.recipes.recipe import load_recipe
from modalens.runs.layout import RunFolder
from tests.recipes.small_recipe import RECIPES


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
