"""From the name of a sample embedder to the embedder."""

from collections.abc import Mapping
from pkgutil import resolve_name

from modalens.errors import InputError
from modalens.pairs.modality import find_modality
from modalens.towers.registry import abilities_of, load_vlm
from modalens.towers.samples.base import SampleEmbedder

# Those that come with modalens, imported when they are used.
BUNDLED: Mapping[str, str] = {
    "efficientnet-lite0": "modalens.demo.sample_embedders:EfficientNetSamples",
    "minilm": "modalens.demo.sample_embedders:MiniLMSamples",
}
# Where the weights of these lie; the packages that hold them may be missing.
_BUNDLED_WEIGHTS: Mapping[str, str] = {
    "efficientnet-lite0": "modalens.demo.frozen:image_weights",
    "minilm": "modalens.demo.frozen:text_model_folder",
}
# What loads any other, by modality: a function imported when it is used, what it loads, and the hub id of the
# published scores' model.
LIBRARIES: Mapping[str, tuple[str, str, str]] = {
    "image": (
        "modalens.towers.samples.images:load",
        "a vision model of transformers",
        "google/vit-base-patch16-224-in21k",
    ),
    "text": (
        "modalens.towers.samples.texts:load",
        "a sentence-transformers model",
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
}

_VLM = "vlm:"


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
    if modality not in LIBRARIES:
        raise InputError(
            f"There is no {modality} embedder {name!r}; take {_VLM}NAME for the {modality} tower of a model, or "
            "the embeddings of the run itself (own)."
        )
    loaded: SampleEmbedder
    if name == judge:
        if revision is not None:
            raise InputError(f"A revision was given for {name}, which has none; leave it out.")
        loaded = resolve_name(BUNDLED[name])(name, device)
        return loaded
    load, what, published = LIBRARIES[modality]
    unknown = (
        f"There is no {modality} embedder {name!r}; take {judge}, {what} by hub id (such as {published}) or folder, "
        f"or {_VLM}NAME for the {modality} tower of a model."
    )
    loaded = resolve_name(load)(name, device=device, revision=revision, unknown=unknown)
    return loaded


def check_sample_embedder(name: str, modality: str) -> None:
    """Refuse an embedder that is bound to fail, without fetching its weights.

    Parameters
    ----------
    name, modality
        As :func:`load_sample_embedder` takes them.

    Raises
    ------
    ModalensError
        If a package that it needs is missing, or there is no model of which it is to be a tower.
    """
    if name.startswith(_VLM):
        abilities_of(name.removeprefix(_VLM))
    elif name in _BUNDLED_WEIGHTS:
        resolve_name(_BUNDLED_WEIGHTS[name])()
    elif modality == "text":
        from modalens.towers.samples.texts import require_sentence_transformers

        require_sentence_transformers()
