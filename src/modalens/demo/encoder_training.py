"""How the demo encoder is made: frozen features of OpenMoji, then heads trained on them, both kept."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modalens.demo import frozen
from modalens.demo.cache import Entry, cached
from modalens.demo.frozen import ImageTower, TextTower
from modalens.demo.heads import Heads, train_heads
from modalens.demo.splits import held_out_concepts, split_of
from modalens.demo.twins import HeadsRecipe
from modalens.errors import InputError
from modalens.hashing import sha256_of
from modalens.pairs import Pair, Pairs
from modalens.progress import progress_bar
from modalens.towers.cards import versions

logger = logging.getLogger(__name__)

# Raised by hand when the meaning of what is kept changes without a change in anything hashed.
_CACHE_VERSION = 1
_PROBES = 8


@dataclass(frozen=True)
class FrozenFeatures:
    """Frozen features of a set of pairs, one row an image key and one a text.

    ``image_row`` and ``text_row`` give the row of each key and text; ``digest`` names everything the
    features depend on.
    """

    image: Float[Tensor, "i p"]
    text: Float[Tensor, "t q"]
    image_row: dict[str, int]
    text_row: dict[str, int]
    digest: str


@dataclass(frozen=True)
class DemoParts:
    """What the demo encoder is put together from, and what its card says about how that was made."""

    features: FrozenFeatures
    heads: Heads
    training: dict[str, Any]
    weights: dict[str, str]


def prepare(pairs: Pairs, recipe: HeadsRecipe) -> DemoParts:
    """Heads trained by a recipe on the pairs' training concepts, from the cache where it has them.

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing, the cache cannot be written, or no concept is left
        to train on.
    """
    items = list(pairs)
    weights = {
        "efficientnet-lite0": sha256_of(frozen.image_weights()),
        "all-MiniLM-L6-v2": sha256_of(frozen.text_model_folder() / "model.safetensors"),
    }
    features = frozen_features(items, {"source": pairs.card(), "weights": weights})
    concepts = {pair.label["concept"] for pair in items}
    training_pairs = [pair for pair in items if split_of(pair.label["concept"]) == "train"]
    if not training_pairs:
        raise InputError(f"The source {pairs.name} has no pair in the demo's training split.")
    heads = trained_heads(features, training_pairs, recipe)
    training = {
        **pairs.card(),
        "pairs": len(items),
        "training_pairs": len(training_pairs),
        "concepts": len(concepts),
        "held_out_concepts": len(held_out_concepts(concepts)),
    }
    return DemoParts(features, heads, training, weights)


def frozen_features(pairs: Sequence[Pair], origin: dict[str, Any]) -> FrozenFeatures:
    """Frozen features of all images and texts, computed on the CPU once and kept.

    Parameters
    ----------
    pairs
        Pairs; an image key or text that comes twice is computed once.
    origin
        What else the features depend on: the source's card and the weights' checksums.
    """
    refs = {pair.ref.key: pair.ref for pair in pairs}
    texts = list(dict.fromkeys(pair.text for pair in pairs))
    # Keys name images but not how they are drawn: a few drawings stand for all, so that a change in the
    # rasteriser is noticed.
    probes = list(refs.values())[:: max(1, len(refs) // _PROBES)]
    drawn = [hashlib.sha256(ref.load().tobytes()).hexdigest() for ref in probes]
    software = versions("torch", "transformers", "pillow", "efficientnet-lite-pytorch")
    digest = _digest(_CACHE_VERSION, origin, software, list(refs), texts, drawn)

    def build() -> Entry:
        with progress_bar("Reading the emoji's images", len(refs)) as advance:
            image = ImageTower().features_of(list(refs.values()), lambda ref: ref.load(), advance)
        started = time.monotonic()
        text = TextTower().features(texts)
        logger.info("Read %d names in %.1f s.", len(texts), time.monotonic() - started)
        return {"image": image, "text": text}, {}

    tensors, _ = cached(f"demo/features-{digest[:16]}.safetensors", build)
    return FrozenFeatures(
        tensors["image"],
        tensors["text"],
        {key: row for row, key in enumerate(refs)},
        {text: row for row, text in enumerate(texts)},
        digest,
    )


def trained_heads(features: FrozenFeatures, pairs: Sequence[Pair], recipe: HeadsRecipe) -> Heads:
    """Heads trained by the recipe on these pairs, from the cache where it has them."""
    digest = _digest(_CACHE_VERSION, features.digest, asdict(recipe), [pair.id for pair in pairs])

    def build() -> Entry:
        image = features.image[[features.image_row[pair.ref.key] for pair in pairs]]
        text = features.text[[features.text_row[pair.text] for pair in pairs]]
        heads = train_heads(image, text, recipe)
        return heads.state_dict(), {"recipe": asdict(recipe)}

    tensors, _ = cached(f"demo/heads-{digest[:16]}.safetensors", build)
    heads = Heads(features.image.shape[1], features.text.shape[1], recipe)
    heads.load_state_dict(tensors)
    return heads.eval().requires_grad_(False)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
