"""From the name of a sample embedder to the embedder."""

import re
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name

from modalens.errors import ModalensError
from modalens.pairs.modality import find_modality
from modalens.towers.registry import load_vlm
from modalens.towers.samples.base import SampleEmbedder

# Those that come with modalens, imported when they are used.
BUNDLED: Mapping[str, str] = {
    "efficientnet-lite0": "modalens.towers.samples.bundled:EfficientNetSamples",
    "minilm": "modalens.towers.samples.bundled:MiniLMSamples",
}
# The models of the published scores, by hub id.
PUBLISHED = {
    "image": "google/vit-base-patch16-224-in21k",
    "text": "sentence-transformers/all-MiniLM-L6-v2",
}

_KINDS = {
    "image": "a vision model of transformers",
    "text": "a sentence-transformers model",
}
_SHORT = {"all-MiniLM-L6-v2": PUBLISHED["text"]}
_VLM = "vlm:"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_sample_embedder(
    name: str, modality: str, *, device: str | None = None, revision: str | None = None
) -> SampleEmbedder:
    """Load a model that embeds samples of one modality, to judge features by.

    Parameters
    ----------
    name
        For images ``efficientnet-lite0`` (from its package), or a vision model of transformers by hub id
        (``google/vit-base-patch16-224-in21k`` is the published one) or folder. For texts ``minilm`` (from
        its package), or a sentence-transformers model by hub id (``all-MiniLM-L6-v2`` is the published one)
        or folder. For any, sounds too, ``vlm:NAME``: that tower of a model :func:`modalens.load_vlm` takes.
    modality
        ``image``, ``text`` or ``audio``.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.
    revision
        Branch, tag or commit of a hub id.

    Raises
    ------
    ModalensError
        If there is no such modality or model, it cannot be reached or read, it embeds another modality, or
        a package or device it needs is missing.
    """
    judge = find_modality(modality).judge
    if name.startswith(_VLM):
        from modalens.towers.samples.vlm import VLMSamples

        return VLMSamples(name, modality, load_vlm(name.removeprefix(_VLM), device=device, revision=revision))
    if modality not in _KINDS:
        raise ModalensError(
            f"There is no {modality} embedder {name!r}; take {_VLM}NAME for the {modality} tower of a model, or "
            "the embeddings of the run itself (own)."
        )
    folder = Path(name).expanduser()
    if revision is not None and (name == judge or (name and folder.is_dir())):
        raise ModalensError(f"A revision was given for {name}, which has none; leave it out.")
    if name == judge:
        loaded: SampleEmbedder = resolve_name(BUNDLED[name])(name, device)
        return loaded

    from modalens.towers.samples import images, texts

    load_folder = images.load_folder if modality == "image" else texts.load_folder
    load_hub = images.load_hub if modality == "image" else texts.load_hub
    if name and folder.is_dir():
        return load_folder(name, folder, device=device)
    if name and folder.exists():
        raise ModalensError(f"{name} is a file; name the folder that holds the model.")
    if name.startswith((".", "~", "/")) or folder.is_absolute() or name.count("/") > 1 or "\\" in name:
        raise ModalensError(f"The model folder {name} does not exist.")
    hub_id = _SHORT.get(name, name) if modality == "text" else name
    if not _HUB_ID.fullmatch(hub_id):
        raise ModalensError(
            f"There is no {modality} embedder {name!r}; take {judge}, {_KINDS[modality]} by hub id (such as "
            f"{PUBLISHED[modality]}) or folder, or {_VLM}NAME for the {modality} tower of a model."
        )
    return load_hub(name, hub_id, device=device, revision=revision)
