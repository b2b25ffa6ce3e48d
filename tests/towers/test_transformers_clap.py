import json
from pathlib import Path

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.pairs.audio import Audio
from modalens.towers import load_vlm
from modalens.towers.differentiable import differentiable_images

pytestmark = pytest.mark.usefixtures("no_network")

RATE = 8000
TEXTS = ["the cat", "dog", "", "a cat and a dog"]


@pytest.fixture(scope="module", params=["rand_trunc", "fusion"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A CLAP that hears one second: unfused, or fused with crops of longer sounds."""
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapTextConfig,
        RobertaTokenizer,
    )

    fused = request.param == "fusion"
    folder = tmp_path_factory.mktemp("clap")
    audio = ClapAudioConfig(
        window_size=2,
        num_mel_bins=64,
        spec_size=128,
        hidden_size=32,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        num_hidden_layers=2,
        patch_embeds_hidden_size=16,
        enable_fusion=fused,
    )
    text = ClapTextConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=20,
    )
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ClapModel(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(folder)
    ClapFeatureExtractor(
        sampling_rate=RATE,
        hop_length=80,
        max_length_s=1,
        fft_window_size=256,
        frequency_max=4000,
        truncation=request.param,
    ).save_pretrained(folder)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *letters]
    tokenizer = RobertaTokenizer(vocab={piece: row for row, piece in enumerate(pieces)}, merges=[])
    tokenizer.save_pretrained(folder)
    return folder


def tone(pitch: float, seconds: float, rate: int = RATE) -> Audio:
    times = np.arange(int(seconds * rate)) / rate
    sound = np.sin(2 * np.pi * pitch * times * (1 + times)) + 0.3 * np.sin(2 * np.pi * 3.1 * pitch * times)
    return Audio(sound.astype(np.float32) / 2, rate)


SHORT = [tone(200, 0.3), tone(900, 1.0), tone(440, 0.71)]


@torch.no_grad()
def by_hand(folder: Path, sounds: list[Audio], texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """As CLAP's own forward call embeds; a long sound beside the others, so that none is called long at random."""
    import transformers

    model = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder)
    waves = [sound.samples for sound in sounds] + [tone(300, 2.5).samples]
    features = extractor(waves, sampling_rate=RATE, return_tensors="pt")
    assert features["is_longer"].squeeze(1).tolist() == [False] * len(sounds) + [True]
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=18, return_tensors="pt")
    output = model(
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
        input_features=features["input_features"].float(),
        is_longer=features["is_longer"],
    )
    return output.audio_embeds.numpy()[:-1], output.text_embeds.numpy()


def test_embeddings_are_those_of_transformers(folder: Path) -> None:
    vlm = load_vlm(str(folder), device="cpu")
    long = "a cat and a dog and a cat and a dog"
    audio, text = by_hand(folder, SHORT, [*TEXTS, long])
    assert vlm.modalities == ("audio", "text")
    found_audio, found_text = vlm.embed_images(SHORT), vlm.embed_texts([*TEXTS, long])  # type: ignore[arg-type]
    assert found_audio.dtype == found_text.dtype == np.float32
    assert audio.std(axis=0).max() > 0.02
    assert text.std(axis=0).max() > 0.02
    np.testing.assert_allclose(found_audio, audio, atol=1e-4)
    np.testing.assert_allclose(found_text, text, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found_audio, axis=1), 1, atol=1e-5)
    assert vlm.embed_images([]).shape == vlm.embed_texts([]).shape == (0, vlm.dim)


def test_a_sound_depends_on_nothing_else(folder: Path) -> None:
    vlm = load_vlm(str(folder), device="cpu")
    sounds = [*SHORT, tone(300, 3.0), tone(700, 1.7)]
    alone = np.concatenate([vlm.embed_images([sound]) for sound in sounds])  # type: ignore[list-item]
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr] # noqa: NPY002
    together = vlm.embed_images(sounds[::-1])[::-1]  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index] # noqa: NPY002
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len(np.unique(alone.round(4), axis=0)) == len(sounds)


def test_another_rate_is_resampled(folder: Path) -> None:
    vlm = load_vlm(str(folder), device="cpu")
    same, other, different = tone(200, 1.0), tone(200, 1.0, 3 * RATE), tone(900, 1.0)
    first, second, third = vlm.embed_images([same, other, different])  # type: ignore[list-item]
    assert np.linalg.norm(first - second) < 0.2 * np.linalg.norm(first - third)


def test_card_and_gradients(folder: Path) -> None:
    vlm = load_vlm(str(folder), device="cpu")
    card = vlm.card()
    json.dumps(card)
    assert card["modalities"] == ["audio", "text"]
    assert card["normalised"] is True
    assert card["preprocessing"]["audio"]["sampling_rate"] == RATE
    assert card["preprocessing"]["text"]["tokens"] == 18
    assert "weights_sha256" in card
    with pytest.raises(ModalensError, match="No gradients reach the pixels"):
        differentiable_images(vlm)


@pytest.mark.parametrize(
    ("samples", "rate", "sentence"),
    [
        (np.zeros((2, 9)), RATE, r"one channel of samples, not an array of shape \(2, 9\)"),
        (np.zeros(0), RATE, "The sound has no samples"),
        (np.array([0.0, np.nan]), RATE, "finite"),
        (np.zeros(9), 0, "rate of a sound is 0"),
        (np.zeros(9), 44100.5, "positive whole number"),
    ],
)
def test_what_is_no_sound(samples: np.ndarray, rate: int, sentence: str) -> None:
    with pytest.raises(ModalensError, match=sentence):
        Audio(samples, rate)
