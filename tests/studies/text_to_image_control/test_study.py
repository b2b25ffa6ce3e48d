import numpy as np
import pytest
from PIL import Image

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.text_to_image_control.config import TextToImageConfig
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
from modalens.studies.text_to_image_control.study import text_to_image
from modalens.studies.text_to_image_control.sweep import sweep_sets
from modalens.studies.text_to_image_control.tables import BALANCE
from tests.studies.text_to_image_control.planted import F, PlantedGenerator, PlantedVLM, ShapeJudge


@pytest.fixture(scope="module")
def planted_result(references, planted_mds):
    prompted = PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal")
    config = TextToImageConfig(seeds=2, draws=10, shown=2)
    return text_to_image(prompted, references, planted_mds, ShapeJudge(), config=config, caveats=["Planted."])


def slope_row(result, measure, name):
    table = result.tables["slopes"].set_index(["measure", "set"])
    return table.loc[(measure, name)]


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
    said = " ".join(planted_result.statements)
    assert "The image class" in said
    assert "more of the reference's content" in said
    assert planted_result.statements[0] == "Planted."


def test_shares_of_all_features_are_one(planted_result):
    for share in ("content_share", "surface_share"):
        assert slope_row(planted_result, share, "all")["slope"] == pytest.approx(1)
    assert slope_row(planted_result, BALANCE, "all")["slope"] == pytest.approx(0, abs=1e-12)


def test_every_set_has_a_row_with_controls(planted_result):
    cells, slopes = planted_result.tables["cells"], planted_result.tables["slopes"]
    assert cells["set"].unique().tolist() == ["image", "cross", "text", "random", "all"]
    assert len(cells) == 5 * 10
    # Nothing differs at strength 0.
    assert cells[cells["strength"] == 0].groupby("strength")[REFERENCE].nunique().eq(1).all()
    assert cells.loc[cells["strength"] == 0, UNEDITED].to_numpy() == pytest.approx(1)
    for name in (REFERENCE, OWN, UNEDITED, COLOUR, EDGES):
        assert {f"{name}_low", f"{name}_high"} <= set(cells.columns)
    assert slopes["kind"].unique().tolist() == ["class", "random", "all"]
    assert slopes.loc[slopes["kind"] == "class", ["random", "difference", "p"]].notna().all(axis=None)
    compared = slopes["q"].notna()
    assert set(slopes.loc[compared, "measure"]) == {REFERENCE, UNEDITED, COLOUR, EDGES, BALANCE}
    assert (slopes.loc[compared, "q"] >= slopes.loc[compared, "p"]).all()
    assert slopes.loc[slopes["set"] == "all", "features"].eq(F).all()
    assert slopes.loc[slopes["set"] != "all", "features"].eq(20).all()


def test_result_survives_disk_with_its_grids(planted_result, tmp_path):
    planted_result.save(tmp_path)
    again = StudyResult.load(tmp_path)
    assert list(again.pictures) == ["grid-1", "grid-2"]
    with Image.open(tmp_path / "pictures" / "grid-1.png") as grid:
        assert grid.width > 11 * 80  # a reference, and ten strengths
        assert grid.height > 5 * 80  # three classes, one random set, all
    assert "an animal" in again.pictures["grid-1"].caption
    assert "seed 0" in again.pictures["grid-1"].caption


def test_result_does_not_change(planted_result, references, planted_mds, prompted):
    config = TextToImageConfig(seeds=2, draws=10, shown=2)
    again = text_to_image(prompted, references, planted_mds, ShapeJudge(), config=config)
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
        sweep_sets(dead, 2, 0)


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


def test_index_sets_are_of_one_size(planted_mds):
    sets, notes = sweep_sets(planted_mds, 3, 0)
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
    assert notes == []
