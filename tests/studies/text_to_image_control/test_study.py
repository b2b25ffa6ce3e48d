import numpy as np
import pytest
from PIL import Image

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.text_to_image_control.config import TextToImageConfig, TextToImageOnRun
from modalens.studies.text_to_image_control.measures import (
    COLOUR,
    EDGES,
    OWN,
    PROMPT,
    REFERENCE,
    UNEDITED,
)
from modalens.studies.text_to_image_control.prompted import PromptedEmbedding
from modalens.studies.text_to_image_control.references import read_references
from modalens.studies.text_to_image_control.sets import matched_sets
from modalens.studies.text_to_image_control.study import text_to_image
from modalens.studies.text_to_image_control.tables import BALANCE
from tests.studies.text_to_image_control.planted import F, PlantedGenerator, PlantedVLM, ShapeJudge


@pytest.fixture(scope="module")
def planted_result(references, planted_mds, planted_features):
    prompted = PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal")
    config = TextToImageConfig(seeds=2, draws=10, shown=2)
    return text_to_image(
        prompted,
        references,
        planted_mds,
        ShapeJudge(),
        features=planted_features,
        labels=np.arange(200) % 4,
        config=config,
        caveats=["Planted."],
    )


def slope_row(result, measure, name, matched="number"):
    table = result.tables["slopes"].set_index(["measure", "set", "matched"])
    return table.loc[(measure, name, "" if name == "all" else matched)]


def test_planted_content_and_surface_are_found(planted_result):
    content, surface = (slope_row(planted_result, REFERENCE, name) for name in ("image", "text"))
    assert content["q"] < 0.05
    assert content["difference_low"] > 0
    assert abs(surface["slope"]) < 0.02
    colours = slope_row(planted_result, COLOUR, "text")
    assert colours["q"] < 0.05
    assert colours["slope"] < colours["random"]
    assert slope_row(planted_result, BALANCE, "image")["slope"] > 0.3
    assert slope_row(planted_result, BALANCE, "text")["slope"] < -0.3
    # The third class moves features that the generator does not look at.
    assert slope_row(planted_result, UNEDITED, "cross")["slope"] == pytest.approx(0, abs=1e-9)
    for measure in (REFERENCE, COLOUR, UNEDITED):
        for matched in ("number", "energy"):
            assert slope_row(planted_result, measure, "image", matched)["detectable"] > 0
    (said,) = (each for each in planted_result.statements if each.startswith("The image class"))
    assert (
        "The image class brings more of the reference's content (cosine to the reference: of equal number"
        in said
    )
    assert "of equal energy" in said
    assert any(each.startswith("From strength 0 to 1 on all features") for each in planted_result.statements)
    (cross,) = (each for each in planted_result.statements if each.startswith("The cross class"))
    assert "with power 0.8" in cross
    assert planted_result.statements[0] == "Planted."


def test_shares_of_all_features_are_one(planted_result):
    for share in ("content_share", "surface_share"):
        assert slope_row(planted_result, share, "all")["slope"] == pytest.approx(1)
    assert slope_row(planted_result, BALANCE, "all")["slope"] == pytest.approx(0, abs=1e-12)


def test_every_set_has_a_row_with_controls(planted_result):
    cells, slopes = planted_result.tables["cells"], planted_result.tables["slopes"]
    by_energy = ["image", "cross", "text", "random"]
    by_number = [*by_energy, "variance", "f_score"]
    for matched, names in (("number", by_number), ("energy", by_energy), ("", ["all"])):
        assert cells.loc[cells["matched"] == matched, "set"].unique().tolist() == names
    assert len(cells) == 11 * 10
    # Nothing differs at strength 0.
    assert cells[cells["strength"] == 0].groupby("strength")[REFERENCE].nunique().eq(1).all()
    assert cells.loc[cells["strength"] == 0, UNEDITED].to_numpy() == pytest.approx(1)
    for name in (REFERENCE, OWN, UNEDITED, COLOUR, EDGES):
        assert {f"{name}_low", f"{name}_high"} <= set(cells.columns)
    assert set(slopes["kind"]) == {"class", "random", "variance", "f_score", "random_energy", "all"}
    assert slopes.loc[slopes["kind"] == "class", ["random", "difference", "p"]].notna().all(axis=None)
    compared = slopes["q"].notna()
    assert set(slopes.loc[compared, "measure"]) == {REFERENCE, UNEDITED, COLOUR, EDGES, BALANCE}
    assert (slopes.loc[compared, "q"] >= slopes.loc[compared, "p"]).all()
    assert slopes.loc[slopes["set"] == "all", "features"].eq(F).all()
    assert slopes.loc[slopes["matched"] == "number", "features"].eq(20).all()
    energy = slopes.loc[slopes["matched"] == "energy", "energy"]
    assert energy.max() / energy.min() < 1.2


def test_result_survives_disk_with_its_grids(planted_result, tmp_path):
    planted_result.save(tmp_path)
    again = StudyResult.load(tmp_path)
    assert list(again.pictures) == ["grid-1", "grid-2"]
    with Image.open(tmp_path / "pictures" / "grid-1.png") as grid:
        assert grid.width > 11 * 80  # a reference, and ten strengths
        assert grid.height > 11 * 80  # three classes of equal number and of equal energy, their controls, all
    assert "an animal" in again.pictures["grid-1"].caption
    assert "seed 0" in again.pictures["grid-1"].caption


def test_result_does_not_change(planted_result, references, planted_mds, planted_features, prompted):
    config = TextToImageConfig(seeds=2, draws=10, shown=2)
    labels = np.arange(200) % 4
    again = text_to_image(
        prompted,
        references,
        planted_mds,
        ShapeJudge(),
        features=planted_features,
        labels=labels,
        config=config,
    )
    assert again.tables["slopes"].equals(planted_result.tables["slopes"])
    assert again.pictures == planted_result.pictures


def test_a_class_without_members_is_skipped(references, prompted, rng):
    image, text = rng.uniform(0.5, 1, (2, 100, F))
    text[:, :20] *= 0.1
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    config = TextToImageConfig(strengths=(0.0, 0.5), seeds=1, draws=2, shown=0)
    result = text_to_image(prompted, references[:2], mds, ShapeJudge(), config=config)
    assert "text" not in result.tables["cells"]["set"].tolist()
    assert "No feature is of class text, so its row is left out." in result.statements
    assert not result.pictures


def test_no_class_at_all(planted_mds):
    dead = modality_dominance(np.zeros((20, 5)), np.zeros((20, 5)), resamples=0)
    with pytest.raises(ModalensError, match="No feature is of any class"):
        matched_sets(dead, 2, 0)


def test_one_reference_gives_slopes_without_intervals(references, planted_mds, prompted):
    config = TextToImageConfig(strengths=(0.0, 0.5), seeds=2, draws=2)
    result = text_to_image(prompted, references[:1], planted_mds, ShapeJudge(), config=config)
    row = slope_row(result, REFERENCE, "image")
    assert np.isfinite(row["slope"])
    assert np.isnan([row["slope_low"], row["difference_low"], row["p"]]).all()
    assert not any("told from" in sentence or "nan" in sentence for sentence in result.statements)
    assert OWN not in result.tables["cells"]


def test_a_judge_that_shares_the_encoders_tower_is_owned_up_to(references, planted_mds, prompted):
    config = TextToImageConfig(strengths=(0.0, 0.9), seeds=1, draws=2, shown=0)
    prompted.vlm.name, judge = "demo", ShapeJudge()

    def first():
        return text_to_image(prompted, references[:2], planted_mds, judge, config=config).statements[0]

    assert "no independent one" not in first()
    judge.name = "efficientnet-lite0"
    assert "no independent one" in first()


def test_reader_measures_the_prompt(references, planted_mds, prompted):
    config = TextToImageConfig(strengths=(0.0, 0.9), seeds=1, draws=2, shown=0)
    vlm = PlantedVLM()
    result = text_to_image(prompted, references[:2], planted_mds, ShapeJudge(), reader=vlm, config=config)
    unedited = vlm.embed_images([prompted.draw_unedited(0)])[0]
    text = vlm.embed_texts(["an animal"])[0]
    cosine = unedited @ text / np.linalg.norm(unedited) / np.linalg.norm(text)
    assert result.tables["cells"].loc[0, PROMPT] == pytest.approx(cosine)


def test_a_second_run_draws_nothing(references, planted_mds, prompted, tmp_path):
    config = TextToImageConfig(strengths=(0.0, 0.5, 0.9), seeds=1, draws=2, shown=1)

    def run(which):
        return text_to_image(which, references[:2], planted_mds, ShapeJudge(), config=config, work=tmp_path)

    first = run(prompted)
    generator = PlantedGenerator()
    again = PromptedEmbedding(generator, PlantedVLM(), "an animal")
    second = run(again)
    assert generator.drawn == 1  # the unedited picture
    assert second.tables["cells"].equals(first.tables["cells"])
    assert len(list(tmp_path.glob("*.png"))) == 2 * 6 * 2
    next(tmp_path.glob("*.png")).write_bytes(b"no picture")
    with pytest.raises(ModalensError, match="damaged"):
        run(again)
    other = PromptedEmbedding(generator, PlantedVLM(), "another animal altogether")
    run(other)
    assert len(list(tmp_path.glob("*.png"))) == 2 * (2 * 6 * 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strengths": (0.0,)}, "at least two"),
        ({"strengths": (0.5, 0.1)}, "ascending"),
        ({"strengths": (0.0, 1.1)}, "at least 0 and at most 1"),
        ({"seeds": 0}, "seeds is 0; it must be at least 1"),
        ({"draws": 1}, "draws is 1; it must be at least 2"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ModalensError, match=words):
        TextToImageConfig(**settings)


def test_bad_input(references, planted_mds, prompted, tmp_path):
    judge = ShapeJudge()
    with pytest.raises(ModalensError, match="no reference image"):
        text_to_image(prompted, [], planted_mds, judge)
    small = modality_dominance(np.ones((9, 4)), np.ones((9, 4)), resamples=0)
    with pytest.raises(ModalensError, match=r"4 features are scored and planted is moved on 60"):
        text_to_image(prompted, references, small, judge)
    judge.modality = "text"
    with pytest.raises(ModalensError, match="judge of images"):
        text_to_image(prompted, references, planted_mds, judge)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nonsense")
    with pytest.raises(ModalensError, match=r"broken.png is not an image"):
        read_references([broken])
    with pytest.raises(ModalensError, match="does not exist"):
        read_references([tmp_path / "absent.png"])
    references[0].save(tmp_path / "good.png")
    assert read_references([tmp_path / "good.png"])[0].tobytes() == references[0].tobytes()


def test_sets_are_of_one_number_and_of_one_energy(planted_mds, planted_features):
    sets, notes = matched_sets(planted_mds, 3, 0)
    assert [each.name for each in sets] == [
        "image",
        "cross",
        "text",
        "random 1",
        "random 2",
        "random 3",
        "all",
    ]
    assert {len(each) for each in sets[:-1]} == {20}
    assert len(sets[-1]) == F
    assert notes == [
        "No features were given, so there are no sets of equal energy and no important features."
    ]
    sets, notes = matched_sets(planted_mds, 3, 0, planted_features, np.arange(200) % 3)
    assert notes == []
    assert [each.kind for each in sets if each.matched == "number"][-2:] == ["variance", "f_score"]
    by_energy = [each for each in sets if each.matched == "energy"]
    assert [each.name for each in by_energy[:3]] == ["image", "cross", "text"]
    assert len(by_energy) == 6
    assert max(each.energy for each in by_energy) / min(each.energy for each in by_energy) < 1.15
    shares = np.mean([(x**2).sum(axis=0) / (x**2).sum() for x in planted_features], axis=0)
    assert by_energy[0].energy == pytest.approx(shares[by_energy[0].indices].sum())
    _, notes = matched_sets(planted_mds, 3, 0, planted_features, [None] * 200)
    assert [note[:42] for note in notes] == ["The features of largest F-score are left out"[:42]]


def test_a_class_of_little_energy_does_not_make_the_sets_of_equal_energy_small(planted_mds, planted_features):
    """Moving sets as weak as the weakest class would show nothing, of any class."""
    image, text = (side * np.where(np.arange(F) < 40, 1, 0.01) for side in planted_features)
    sets, notes = matched_sets(planted_mds, 2, 0, (image, text))
    assert {each.name for each in sets if each.matched == "energy"} >= {"image", "text"}
    assert "cross" not in {each.name for each in sets if each.matched == "energy"}
    assert min(each.energy for each in sets if each.matched == "energy") > 0.3
    assert next(each.energy for each in sets if each.name == "cross") < 0.001
    assert any(note.startswith("The cross class holds 0.0% of the energy") for note in notes)


def test_two_spaces_have_rows_of_their_own(references, planted_mds):
    config = TextToImageConfig(strengths=(0.0, 0.9), seeds=1, draws=2, shown=1)
    one, other = (PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal") for _ in range(2))
    one.space, one.rescales, other.space = "projected", True, "token"
    result = text_to_image([one, other], references[:3], planted_mds, ShapeJudge(), config=config)
    assert list(result.pictures) == ["grid-1", "grid-1-token"]
    assert result.tables["slopes"]["space"].unique().tolist() == ["projected", "token"]
    assert result.config["spaces"] == ["projected", "token"]
    assert any(each.startswith("In the scored space: from strength 0 to 1") for each in result.statements)
    assert any(each.startswith("On the token vectors, as published") for each in result.statements)


def test_all_settings_can_stand_in_a_recipe():
    """As YAML gives them: lists, texts and numbers."""
    step = {
        "reference": ["photo.jpg", "sketch.png"],
        "space": ["projected"],
        "tokens": "end",
        "steps": 5,
        "guidance": 3,
    }
    config = TextToImageOnRun.of(None, {**step, "kind": "species", "strengths": [0, 0.5]})
    assert [path.name for path in config.reference] == ["photo.jpg", "sketch.png"]
    assert (config.space, config.tokens, config.steps, config.guidance) == (("projected",), "end", 5, 3.0)
    assert TextToImageOnRun().space == ("projected", "token")
    for wrong, words in (({"space": []}, "no space"), ({"space": ["pixels"]}, "no space 'pixels'")):
        with pytest.raises(ModalensError, match=words):
            TextToImageOnRun.of(None, wrong)
