from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modalens.errors import InputError
from modalens.hub_errors import hub_sentences
from modalens.studies.adversarial_images.victims import TransformersVictim
from modalens.towers import load_vlm
from modalens.towers.classifiers import load_image_classifier
from modalens.towers.hub import ModelFolder, find_model
from modalens.towers.samples import load_sample_embedder

LOADERS: dict[str, Callable[..., Any]] = {
    "dual encoder": load_vlm,
    "hidden states": lambda name, **options: load_vlm(f"hidden:{name}?layer=1", **options),
    "images": lambda name, **options: load_sample_embedder(name, "image", **options),
    "texts": lambda name, **options: load_sample_embedder(name, "text", **options),
    "classifier": load_image_classifier,
    "victim": TransformersVictim,
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=list(LOADERS))
def test_every_loader_tells_folders_from_hub_ids_in_the_same_words(
    load: Callable[..., Any], tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"model\.bin is a file; name the folder"):
        load(str(tmp_path / "model.bin"))
    for name in ("./clip", "~/no-such-folder", "/no/such/folder", "a/b/c"):
        with pytest.raises(InputError, match=f"The model folder {name} does not exist"):
            load(name)
    with pytest.raises(InputError, match=r"A revision was given for .* which has none; leave it out"):
        load(str(tmp_path), revision="main")
    with pytest.raises(InputError, match=r"There is no .* 'open sesame'"):
        load("open sesame")


def test_the_origin_is_a_commit_or_the_sums_of_files(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    weights = [tmp_path / "part" / "b.bin", tmp_path / "a.bin"]
    for file in weights:
        file.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    found = find_model(str(tmp_path))
    assert found == ModelFolder(tmp_path)
    assert found.origin(weights) == {"weights_sha256": {"a.bin": empty, "part/b.bin": empty}}
    assert found.origin([]) == {}
    assert ModelFolder(tmp_path, "0123abcd").origin(weights) == {"revision": "0123abcd"}


def test_a_gated_dataset_has_its_own_address() -> None:
    from huggingface_hub import errors

    class Response:
        status_code, headers, request = 403, dict[str, str](), None

    with (
        pytest.raises(InputError, match=r"https://huggingface\.co/datasets/org/photos, then"),
        hub_sentences("org/photos", "dataset"),
    ):
        raise errors.GatedRepoError("refused", response=Response())  # type: ignore[arg-type]
