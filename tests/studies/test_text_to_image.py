import itertools
import json
import shutil

import huggingface_hub
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from huggingface_hub.utils import filter_repo_objects
from PIL import Image, ImageDraw

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.text_to_image_control.config import TextToImageConfig
from modalens.studies.text_to_image_control.generator import Generator
from modalens.studies.text_to_image_control.measures import (
    COLOUR,
    EDGES,
    OWN,
    PROMPT,
    REFERENCE,
    UNEDITED,
    SimilarityMeasures,
    colour_histogram,
    edge_statistics,
    hellinger,
)
from modalens.studies.text_to_image_control.prompted import Edit, PromptedEmbedding
from modalens.studies.text_to_image_control.references import choose_references, read_references
from modalens.studies.text_to_image_control.retrieval import RetrievalGenerator, generator_of
from modalens.studies.text_to_image_control.slopes import against_random_sets, mean_of, slope_of
from modalens.studies.text_to_image_control.stable_diffusion import load_stable_diffusion
from modalens.studies.text_to_image_control.study import text_to_image
from modalens.studies.text_to_image_control.sweep import sweep_sets
from modalens.studies.text_to_image_control.tables import BALANCE
from modalens.studies.text_to_image_control.unclip import load_unclip
from modalens.towers import load_vlm
from modalens.towers.base import VLM
from tests.diffusion import save_stable_diffusion, save_unclip

F = 60
SHAPE, COLOURS = np.arange(20), np.arange(20, 40)


class PlantedVLM(VLM):
    """A picture's embedding: what it shows on the first 20 features, its colour on the next, nothing on the rest."""

    name, dim = "planted", F

    def embed_images(self, images):
        rows = [np.repeat([*quadrants(each), *background(each), *np.full(4, 0.5)], 5) for each in images]
        return np.array(rows, dtype=np.float32)

    def embed_texts(self, texts):
        return np.stack([np.full(F, 0.3 + 0.01 * (len(text) % 20), dtype=np.float32) for text in texts])

    def card(self):
        return {"model": self.name}


class PlantedGenerator(Generator):
    """Draws four black squares whose sides follow the first features, on a colour that follows the next."""

    name, dim = "planted", F

    def __init__(self):
        self.drawn = 0

    def generate(self, embedding, seed=0):
        self.drawn += len(embedding)
        return [
            draw_planted(row[:20].reshape(4, 5).mean(1), row[20:40].reshape(4, 5).mean(1)[:3], seed)
            for row in embedding
        ]

    def card(self):
        return {"generator": self.name}


class ShapeJudge:
    """Sees how much of each quadrant is black, and nothing of its colour."""

    name, modality, dim = "shapes", "image", 8

    def embed(self, samples):
        angles = np.array([quadrants(each) for each in samples]) * np.pi / 2
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    def card(self):
        return {"model": self.name}


def draw_planted(sides, colour, seed=0):
    picture = Image.new("RGB", (64, 64), tuple(int(100 + 155 * min(max(each, 0), 1)) for each in colour))
    pen = ImageDraw.Draw(picture)
    for (left, top), side in zip(itertools.product((0, 32), (0, 32)), sides, strict=True):
        if (size := round(30 * float(side))) > 0:
            pen.rectangle((left, top, left + size, top + size + seed % 2), fill="black")
    return picture


def quadrants(image):
    black = np.asarray(image.convert("RGB").resize((64, 64))).max(-1) < 60
    found = [black[t : t + 32, s : s + 32].mean() for s, t in itertools.product((0, 32), (0, 32))]
    return np.sqrt(found)


def background(image):
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    light = pixels[pixels.max(-1) >= 60]
    return np.append((light.mean(0) - 100) / 155, 0.5)


@pytest.fixture(scope="module")
def references():
    rng = np.random.default_rng(5)
    return [draw_planted(rng.uniform(0, 1, 4), rng.uniform(0, 1, 3)) for _ in range(8)]


@pytest.fixture(scope="module")
def planted_mds():
    """The first 20 features are the image's, the next the text's, the rest both's."""
    rng = np.random.default_rng(0)
    image, text = rng.uniform(0.5, 1, (2, 200, F))
    image[:, 20:40] *= 0.1
    text[:, :20] *= 0.1
    return modality_dominance(image, text, rule="twofold", resamples=0)


@pytest.fixture
def prompted():
    return PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal")


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
    assert content["p_corrected"] < 0.05
    assert content["difference_low"] > 0
    assert abs(surface["slope"]) < 0.02
    colours = slope_row(planted_result, COLOUR, "text")
    assert colours["p_corrected"] < 0.05
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
    compared = slopes["p_corrected"].notna()
    assert set(slopes.loc[compared, "measure"]) == {REFERENCE, UNEDITED, COLOUR, EDGES, BALANCE}
    assert (slopes.loc[compared, "p_corrected"] >= slopes.loc[compared, "p"]).all()
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


# Edits of embeddings


class Doubling:
    """Features learned on embeddings: each feature's positive and negative part; some of the embedding is lost."""

    def encode(self, x, modality=None):
        x = np.asarray(x)[:, :50]
        return sp.csr_array(np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=1))

    def decode(self, codes, modality=None):
        dense = codes.toarray()
        decoded = dense[:, :50] - dense[:, 50:]
        return np.pad(decoded, ((0, 0), (0, F - 50)))


def test_edits_move_the_chosen_features_alone(prompted, rng):
    reference = rng.standard_normal(F).astype(np.float32)
    start = prompted.vlm.embed_texts(["an animal"])[0]
    moved = prompted.edited(Edit(reference, np.array([3, 7]), 0.25))
    expected = start.copy()
    for feature in (3, 7):
        expected[feature] = 0.75 * start[feature] + 0.25 * reference[feature]
    np.testing.assert_allclose(moved, expected, rtol=1e-6)
    for indices, strength in ((np.arange(F), 0.0), (np.arange(0), 0.9)):
        assert prompted.edited(Edit(reference, indices, strength)).tobytes() == start.tobytes()
    with pytest.raises(ModalensError, match="no feature 60"):
        prompted.draw([Edit(reference, np.array([60]), 0.5)])
    assert prompted.draw([]) == []


def test_edits_of_learned_features_keep_what_these_do_not_hold(rng):
    prompted = PromptedEmbedding(PlantedGenerator(), PlantedVLM(), "an animal", space=Doubling())
    assert prompted.n_features == 100
    reference = rng.standard_normal(F).astype(np.float32)
    start = prompted.vlm.embed_texts(["an animal"])[0]
    assert prompted.edited(Edit(reference, np.arange(100), 0.0)).tobytes() == start.tobytes()
    moved = prompted.edited(Edit(reference, np.arange(100), 1.0))
    np.testing.assert_allclose(moved[:50], reference[:50], atol=1e-6)
    assert (moved[50:] == start[50:]).all()
    half = prompted.edited(Edit(reference, np.array([0, 50]), 0.5))
    assert half[0] == pytest.approx((start[0] + reference[0]) / 2)
    assert (half[1:] == start[1:]).all()


def test_generator_and_encoder_must_fit(tiny_clip):
    with pytest.raises(ModalensError, match=r"60 features and .* gives 24"):
        PromptedEmbedding(PlantedGenerator(), load_vlm(str(tiny_clip)), "a cat")


def test_prompts_must_fit_the_text_tower(tiny_clip):
    vlm = load_vlm(str(tiny_clip))
    generator = RetrievalGenerator.from_pictures(np.eye(24), [Image.new("RGB", (8, 8))] * 24)
    assert PromptedEmbedding(generator, vlm, "cat cat").n_features == 24
    with pytest.raises(ModalensError, match="20 words, as many as"):
        PromptedEmbedding(generator, vlm, " ".join(["cat"] * 20))
    with pytest.raises(ModalensError, match="blank"):
        PromptedEmbedding(generator, vlm, " ")


# Pipelines of diffusers, tiny and random, saved and loaded as a user's


@pytest.fixture(scope="module")
def tiny_diffusion(tmp_path_factory, tiny_clip):
    return save_stable_diffusion(tmp_path_factory.mktemp("diffusion"), tiny_clip)


@pytest.fixture(scope="module")
def tiny_unclip(tmp_path_factory, tiny_clip):
    return save_unclip(tmp_path_factory.mktemp("unclip"), tiny_clip)


@pytest.fixture(scope="module")
def clip(tiny_clip):
    return load_vlm(str(tiny_clip))


@pytest.fixture(scope="module")
def diffusion(tiny_diffusion, clip):
    return load_stable_diffusion(str(tiny_diffusion), vlm=clip, prompt="a cat", steps=2)


def same(one, other):
    return one.tobytes() == other.tobytes()


def test_stable_diffusion_at_strength_0_is_the_pipeline_itself(diffusion, tiny_diffusion, references):
    from diffusers import StableDiffusionPipeline

    by_hand = StableDiffusionPipeline.from_pretrained(tiny_diffusion)(
        "a cat", num_inference_steps=2, guidance_scale=7.5, generator=torch.Generator().manual_seed(3)
    ).images[0]
    assert same(diffusion.draw_unedited(3), by_hand)
    reference = diffusion.embed(references[:1])[0]
    edits = [Edit(reference, np.arange(24), 0.0), Edit(reference, np.arange(0), 0.9)]
    edits.append(Edit(reference, np.arange(24), 0.9))
    nothing, empty, moved = diffusion.draw(edits, 3)
    assert same(nothing, by_hand)
    assert same(empty, by_hand)
    assert not same(moved, by_hand)
    assert same(diffusion.draw(edits[2:], 3)[0], moved)
    assert not same(diffusion.draw_unedited(4), by_hand)


def test_stable_diffusion_moves_the_chosen_features_of_the_chosen_tokens(diffusion, tiny_diffusion, clip):
    start = diffusion.edited(Edit(np.ones(24), np.arange(0), 0.5))
    moved = diffusion.edited(Edit(np.full(24, 2.0), np.array([1, 5]), 0.5))
    assert start.shape == (1, 16, 24)
    rest = np.setdiff1d(np.arange(24), [1, 5])
    assert torch.equal(moved[..., rest], start[..., rest])
    torch.testing.assert_close(moved[..., [1, 5]], 0.5 * start[..., [1, 5]] + 1.0)
    end = load_stable_diffusion(str(tiny_diffusion), vlm=clip, prompt="a cat", tokens="end", steps=2)
    moved = end.edited(Edit(np.full(24, 2.0), np.arange(24), 1.0))
    # Start of text, a, cat, end of text.
    assert (moved[0, 3] == 2.0).all()
    others = [place for place in range(16) if place != 3]
    assert torch.equal(moved[0, others], start[0, others])


def test_stable_diffusion_refuses_what_does_not_fit(tiny_diffusion, clip):
    def load(**options):
        return load_stable_diffusion(
            str(tiny_diffusion), **{"vlm": clip, "prompt": "a cat", "steps": 2, **options}
        )

    with pytest.raises(ModalensError, match="24 features and the embeddings of planted 60; take the CLIP"):
        load(vlm=PlantedVLM())
    with pytest.raises(ModalensError, match=r"has 22 tokens and the text tower of .* reads 16; shorten it"):
        load(prompt=" ".join(["cat"] * 20))
    with pytest.raises(ModalensError, match="blank"):
        load(prompt="")
    with pytest.raises(ModalensError, match="all or end"):
        load(tokens="some")
    with pytest.raises(ModalensError, match="at least 1 step"):
        load(steps=0)
    with pytest.raises(ModalensError, match="leave it out"):
        load(revision="main")


def test_the_study_runs_on_stable_diffusion(diffusion, references, rng):
    image, text = rng.uniform(0.5, 1, (2, 100, 24))
    image[:, 8:16] *= 0.1
    text[:, :8] *= 0.1
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    config = TextToImageConfig(strengths=(0.0, 0.9), seeds=1, draws=2, shown=1)
    result = text_to_image(diffusion, references[:2], mds, ShapeJudge(), config=config)
    assert result.config["generator"]["class"] == "StableDiffusionPipeline"
    assert result.config["generator"]["scheduler"] == "DDIMScheduler"
    assert result.config["prompt_length"] > 0
    assert set(result.pictures) == {"grid-1"}
    json.dumps(result.config)


def test_unclip_draws_the_edited_embedding(tiny_unclip, clip, references):
    generator = load_unclip(str(tiny_unclip), steps=2)
    prompted = PromptedEmbedding(generator, clip, "a cat")
    unedited = prompted.draw_unedited(1)
    reference = prompted.embed(references[:1])[0]
    nothing, moved = prompted.draw([Edit(reference, np.arange(24), s) for s in (0.0, 0.9)], 1)
    assert same(nothing, unedited)
    assert not same(moved, unedited)
    # Length does not matter: it is that of the normaliser, here sqrt(24).
    assert same(generator.generate(3 * reference[None], 1)[0], generator.generate(reference[None], 1)[0])
    assert generator.card()["length"] == pytest.approx(24**0.5)
    pipeline = generator._pipeline
    unit = torch.from_numpy(reference.astype(np.float64) / np.linalg.norm(reference.astype(np.float64)))
    by_hand = pipeline(
        prompt="",
        image_embeds=(unit * 24**0.5).float()[None],
        num_inference_steps=2,
        guidance_scale=10.0,
        generator=torch.Generator().manual_seed(1),
    ).images[0]
    assert same(generator.generate(reference[None], 1)[0], by_hand)
    with pytest.raises(ModalensError, match="embeddings of 24 features, not 60"):
        generator.generate(np.ones((1, F)))


def test_pipelines_come_from_the_hub_with_all_they_need(
    tiny_diffusion, tiny_unclip, clip, monkeypatch, tmp_path
):
    asked = []

    def download(name, *, revision, allow_patterns, ignore_patterns):
        origin = {"some/diffusion": tiny_diffusion, "some/unclip": tiny_unclip}[name]
        asked.append((name, revision))
        files = [path.relative_to(origin).as_posix() for path in origin.rglob("*") if path.is_file()]
        # What else lies in such a repository.
        chosen = filter_repo_objects(
            [*files, "unet/diffusion_pytorch_model.fp16.safetensors", "768-v-ema.ckpt", "unet/model.bin"],
            allow_patterns=allow_patterns,
            ignore_patterns=ignore_patterns,
        )
        snapshot = tmp_path / name.replace("/", "--") / "c0ffee"
        snapshot.mkdir(parents=True, exist_ok=True)
        for file in chosen:
            (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin / file, snapshot / file)  # fails for what is not there
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = load_stable_diffusion("some/diffusion", vlm=clip, prompt="a cat", steps=2, revision="v1")
    assert found.card()["revision"] == "c0ffee"
    assert {revision for _, revision in asked} == {"v1"}
    local = load_stable_diffusion(str(tiny_diffusion), vlm=clip, prompt="a cat", steps=2)
    assert same(found.draw_unedited(0), local.draw_unedited(0))
    assert set(local.card()["weights_sha256"]) == {
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert load_unclip("some/unclip", steps=2).card()["revision"] == "c0ffee"


def test_other_folders_are_no_pipelines(tiny_clip, tiny_unclip, tiny_diffusion, clip, tmp_path, monkeypatch):
    with pytest.raises(ModalensError, match=r"no model_index.json"):
        load_unclip(str(tiny_clip))
    with pytest.raises(
        ModalensError, match="is a StableUnCLIPImg2ImgPipeline, not a StableDiffusionPipeline"
    ):
        load_stable_diffusion(str(tiny_unclip), vlm=clip, prompt="a cat")
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_diffusion, damaged)
    (damaged / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModalensError, match=r"The pipeline of .* cannot be read"):
        load_stable_diffusion(str(damaged), vlm=clip, prompt="a cat")
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(ModalensError, match=r"modalens\[text-to-image\]"):
        load_unclip(str(tiny_unclip))


# Measures


def test_hellinger_is_a_distance():
    assert hellinger(np.array([0.25, 0.75]), np.array([0.25, 0.75])) == 0
    assert hellinger(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.1, 0.3])
    naive = np.sqrt(sum((a**0.5 - b**0.5) ** 2 for a, b in zip(p, q, strict=True)) / 2)
    assert hellinger(p, q) == pytest.approx(naive)


def test_colours_count_pixels_by_box():
    picture = Image.new("RGB", (64, 64), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 64, 16))
    shares = colour_histogram(picture)
    assert shares[7 * 64] == 0.75
    assert shares[7] == 0.25
    assert shares.sum() == 1


def stripes(step, across, dark=0):
    pixels = np.full((64, 64), 255, dtype=np.uint8)
    rows = np.arange(64) // step % 2 == 0
    pixels[rows] = dark
    return Image.fromarray(pixels if not across else pixels.T).convert("RGB")


def test_edges_tell_direction_and_strength_but_not_place():
    across = edge_statistics(stripes(8, True))
    assert across.sum() == pytest.approx(1)
    assert hellinger(across, edge_statistics(stripes(8, False))) > 0.4
    assert hellinger(across, edge_statistics(stripes(8, True, dark=200))) > 0.4
    shifted = Image.fromarray(np.roll(np.asarray(stripes(8, True)), 8, axis=1))
    assert hellinger(across, edge_statistics(shifted)) < 0.05
    assert edge_statistics(Image.new("RGB", (64, 64), "red"))[0] == 1


def test_ruler_counts_what_is_the_references_own(references):
    measures = SimilarityMeasures(references[:3], ShapeJudge(), "an animal")
    assert measures.names == (REFERENCE, OWN, UNEDITED, COLOUR, EDGES)
    found = measures([references[4], references[1]], 1)
    assert found[REFERENCE][1] == pytest.approx(1)
    assert found[COLOUR][1] == found[EDGES][1] == 0
    unit = ShapeJudge().embed(references)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    assert found[OWN][0] == pytest.approx(unit[4] @ unit[1] - (unit[4] @ unit[0] + unit[4] @ unit[2]) / 2)
    assert found[UNEDITED].tolist() == pytest.approx([1, unit[4] @ unit[1]])


# Slopes


def test_slopes_are_least_squares(rng):
    strengths = np.linspace(0, 0.9, 10)
    values = rng.standard_normal((3, 10, 2, 4))
    found = slope_of(values, strengths)
    for a, n, r in itertools.product(range(3), range(2), range(4)):
        assert found[a, n, r] == pytest.approx(np.polyfit(strengths, values[a, :, n, r], 1)[0])


def test_intervals_hold_the_truth(rng):
    """References and seeds each bring noise of their own; the interval errs to the wide side."""
    held = 0
    for _ in range(200):
        values = rng.standard_normal((6, 1)) + 0.5 * rng.standard_normal((1, 3)) + rng.standard_normal((6, 3))
        mean = mean_of(values, 0)
        held += mean.low <= 0 <= mean.high
    assert held >= 186


def test_one_more_random_set_is_seldom_told_from_random_sets(rng):
    low = 0
    for _ in range(200):
        slopes = (
            rng.standard_normal((9, 1, 1)) + rng.standard_normal((1, 6, 1)) + rng.standard_normal((9, 6, 2))
        )
        low += against_random_sets(slopes[0], slopes[1:], 0).p < 0.05
    assert low <= 18
    different = against_random_sets(slopes[0] + 20, slopes[1:], 0)
    assert different.p < 0.01
    assert different.low > 0


def test_where_nothing_moves_nothing_is_told():
    still = np.zeros((3, 4, 2))
    found = against_random_sets(still[0], still, 0)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


# Choices


def test_references_are_of_as_many_kinds_as_there_are():
    kinds = ["flag"] * 50 + ["food"] * 3 + ["face"] + [None] * 2
    chosen = choose_references(kinds, 6)
    assert len(set(chosen)) == 6
    counts = {kind: sum(kinds[place] == kind for place in chosen) for kind in ("flag", "food", "face", None)}
    assert counts["face"] == 1
    assert min(counts.values()) >= 1
    assert max(counts.values()) == 2
    assert choose_references(kinds, 6).tolist() == chosen.tolist()
    assert choose_references(kinds, 6, seed=1).tolist() != chosen.tolist()
    assert choose_references(["a", "b"]).tolist() == [0, 1]


def test_another_encoder_gets_retrieved_pictures():
    found = generator_of(PlantedVLM(), np.eye(F), lambda row: Image.new("RGB", (4, 4)), "dots")
    assert isinstance(found, RetrievalGenerator)
    assert found.card()["source"] == "dots"


def test_the_generator_of_an_encoder_is_the_one_it_names():
    class Encoder(PlantedVLM):
        def generator(self):
            return PlantedGenerator()

    found = generator_of(Encoder(), np.eye(F), lambda row: Image.new("RGB", (4, 4)))
    assert isinstance(found, PlantedGenerator)


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
