"""What a model that judges likeness has in common with the model under study."""

from collections.abc import Iterator, Mapping
from typing import Any

from modalens.runs.label_judge import LABELS

OWN_CARD = "the embeddings under study"
NOTHING, TOWER, MODEL, UNKNOWN = "nothing", "tower", "model", "unknown"


def shared(judge: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """What a judge shares with the model under study, by their cards.

    Returns
    -------
    str
        ``model``: it is the model itself, or its embeddings. ``tower``: the model holds its weights, frozen.
        ``nothing``; or ``unknown`` where a card names no weights.
    """
    name = str(judge.get("model"))
    if name == OWN_CARD:
        return MODEL
    if name.startswith(LABELS):
        return NOTHING
    own, theirs = set(_weights(judge)), set(_weights(model))
    if not (own and theirs):
        return UNKNOWN
    if own & theirs:
        return MODEL if theirs <= own else TOWER
    return NOTHING


def _weights(card: Mapping[str, Any]) -> Iterator[str]:
    """Checksums and revisions of a card's weights."""
    for name in ("weights_sha256", "revision"):
        value = card.get(name)
        if isinstance(value, Mapping):
            yield from (str(each) for each in value.values())
        elif value is not None:
            yield str(value)
