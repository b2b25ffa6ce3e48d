"""Where the pairs of a store came from: the source and the model that its manifest names, opened again."""

from modalens.errors import ModalensError
from modalens.pairs import Pairs, load_pairs
from modalens.store import PairStore
from modalens.towers import load_vlm
from modalens.towers.base import VLM


def open_pairs(store: PairStore) -> Pairs:
    """The source of a store's pairs.

    Raises
    ------
    ModalensError
        If the store names none, or it is no longer there.
    """
    name = None if store.manifest is None else store.manifest.source.get("source")
    if name is None:
        raise ModalensError(
            f"{store.folder} does not say where its images come from; embed them again from a source with a name, or "
            "judge features by the run's own embeddings (--image-embedder own)."
        )
    try:
        return load_pairs(str(name))
    except ModalensError as error:
        raise ModalensError(f"The images of {store.folder} come from {name}: {error}") from error


def open_vlm(store: PairStore, device: str | None = None) -> VLM:
    """The model that embedded a store's pairs, at the revision it had.

    Raises
    ------
    ModalensError
        If the store does not say which, or it cannot be loaded.
    """
    model = {} if store.manifest is None else store.manifest.model
    if "model" not in model:
        raise ModalensError(
            f"{store.folder} does not say what embedded it; embed the pairs with modalens first."
        )
    revision = model.get("revision")
    return load_vlm(str(model["model"]), device=device, revision=None if revision is None else str(revision))
