import json
import shutil

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.config import TextToImageConfig
from modalens.studies.text_to_image_control.prompted import Edit, PromptedEmbedding
from modalens.studies.text_to_image_control.stable_diffusion import load_stable_diffusion
from modalens.studies.text_to_image_control.study import text_to_image
from modalens.studies.text_to_image_control.unclip import load_unclip
from tests.studies.text_to_image_control.planted import (
    F,
    PlantedVLM,
    ShapeJudge,
)


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
    end = load_stable_diffusion(
        str(tiny_diffusion), vlm=clip, prompt="a cat", tokens="end", space="token", steps=2
    )
    moved = end.edited(Edit(np.full(24, 2.0), np.arange(24), 1.0))
    # Start of text, a, cat, end of text.
    assert (moved[0, 3] == 2.0).all()
    others = [place for place in range(16) if place != 3]
    assert torch.equal(moved[0, others], start[0, others])


def test_in_the_projected_space_the_chosen_features_of_embeddings_move(diffusion, monkeypatch, clip, rng):
    """T' = T + (edit(T W) - T W) W^+, by hand, with the reference as long as each projected token."""
    weights = rng.normal(size=(24, 24)).astype(np.float32)
    monkeypatch.setattr(clip, "text_projection", lambda: weights)
    projected = diffusion.in_space("projected")
    assert diffusion.space == "token"
    assert projected.card() == {**diffusion.card(), "space": "projected"}
    start = diffusion.edited(Edit(np.ones(24), np.arange(0), 0.5))
    for empty in (Edit(np.ones(24), np.arange(24), 0.0), Edit(np.ones(24), np.arange(0), 0.9)):
        assert torch.equal(projected.edited(empty), start)
    reference = rng.normal(size=24)
    moved = projected.edited(Edit(reference, np.array([1, 5]), 0.5)).numpy().astype(np.float64)
    before = start.numpy().astype(np.float64) @ weights
    expected = before.copy()
    for token in range(16):
        scaled = reference / np.linalg.norm(reference) * np.linalg.norm(before[0, token])
        expected[0, token, [1, 5]] = 0.5 * before[0, token, [1, 5]] + 0.5 * scaled[[1, 5]]
    np.testing.assert_allclose(moved @ weights, expected, atol=1e-3)


def test_a_projection_that_loses_something_leaves_the_rest_of_the_tokens(diffusion, monkeypatch, clip, rng):
    weights = np.linalg.qr(rng.normal(size=(24, 24)))[0][:, :10] @ rng.normal(size=(10, 24))
    monkeypatch.setattr(clip, "text_projection", lambda: weights.astype(np.float32))
    edit = Edit(rng.normal(size=24), np.arange(24), 0.7)
    moved = diffusion.in_space("projected").edited(edit) - diffusion.edited(
        Edit(np.ones(24), np.arange(0), 0.5)
    )
    outside = np.eye(24) - weights @ np.linalg.pinv(weights, rcond=1e-6)
    assert np.abs(moved.numpy()[0] @ outside).max() < 1e-4
    assert moved.abs().max() > 0.1


def test_stable_diffusion_refuses_what_does_not_fit(tiny_diffusion, clip):
    def load(**options):
        return load_stable_diffusion(
            str(tiny_diffusion), **{"vlm": clip, "prompt": "a cat", "steps": 2, "space": "token", **options}
        )

    with pytest.raises(ModalensError, match="24 features and the embeddings of planted 60; take the CLIP"):
        load(vlm=PlantedVLM())
    with pytest.raises(ModalensError, match="planted has no text projection, through which"):
        load(vlm=PlantedVLM(), space="projected")
    with pytest.raises(ModalensError, match=r"have 24 features and the text projection of .* takes 32"):
        load(space="projected")
    with pytest.raises(ModalensError, match="no space 'pixels'"):
        load(space="pixels")
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
    found = load_stable_diffusion(
        "some/diffusion", vlm=clip, prompt="a cat", space="token", steps=2, revision="v1"
    )
    assert found.card()["revision"] == "c0ffee"
    assert {revision for _, revision in asked} == {"v1"}
    local = load_stable_diffusion(str(tiny_diffusion), vlm=clip, prompt="a cat", space="token", steps=2)
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


def test_token_vectors_change_as_a_function_of_embeddings_says(diffusion, monkeypatch, clip, rng):
    """T' = T + (change(s T W) - s T W) W^+ / s, by hand, with s T W as long as the prompt's embedding."""
    weights = rng.normal(size=(24, 24)).astype(np.float32)
    monkeypatch.setattr(clip, "text_projection", lambda: weights)
    projected = diffusion.in_space("projected").with_prompt("cat cat")
    assert projected.prompt == "cat cat"
    start = projected.changed(lambda rows: rows)
    length = np.linalg.norm(clip.embed_texts(["cat cat"])[0])
    seen = []

    def change(rows):
        seen.append(rows)
        return rows * np.where(np.arange(24) == 5, 3, 1)

    moved = projected.changed(change).numpy().astype(np.float64) @ weights
    np.testing.assert_allclose(np.linalg.norm(seen[0], axis=1), length, rtol=1e-4)
    expected = start.numpy().astype(np.float64) @ weights
    expected[..., 5] *= 3
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    assert same(projected.draw_changed(lambda rows: rows, 3), projected.draw_unedited(3))
    assert not same(projected.draw_changed(change, 3), projected.draw_unedited(3))
