"""Sets of features of several runs on the pairs that all of them share."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from modalens.dominance import Dominance
from modalens.errors import InputError, ModalensError
from modalens.runs.choice import RAW
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.representations import Representation
from modalens.runs.scoring import Scores, score

_ESTIMATOR = "mean_ratio"
_SEED = re.compile(r"[-_ ]?seed[-_ ]?\d+$")


@dataclass(frozen=True, eq=False)
class Part:
    """A set of features of a run on the shared pairs.

    Attributes
    ----------
    run
        What the run is called.
    each
        The set of features.
    rows
        The shared pairs by row of its store, in one order for all parts.
    scores
        Scores of these pairs.
    found
        The run's own interpretation, if there is one.
    """

    run: str
    each: Representation
    rows: Int[np.ndarray, " n"]
    scores: Scores
    found: Interpretation | None

    @property
    def label(self) -> str:
        """Run and features."""
        return self.run if self.each.name == RAW else f"{self.run}: {self.each.name}"

    @property
    def mds(self) -> Dominance:
        """The dominance scores."""
        found = self.scores.dominance[_ESTIMATOR]
        if isinstance(found, str):
            raise ModalensError(found)
        return found

    @property
    def space(self) -> str:
        """What tells the embeddings that features were learned on from others."""
        store = self.each.store if self.each.embeddings is None else self.each.embeddings
        return store.digest

    @property
    def verdicts(self) -> np.ndarray:
        """Verdict of each feature, empty without an interpretation."""
        if self.found is None:
            return np.full(len(self.mds.score), "", dtype=object)
        return np.asarray(self.found.bridges.verdict, dtype=object)

    def model(self, one_model: bool) -> tuple[str, str]:
        """What seeds have in common, and a name for it.

        Parameters
        ----------
        one_model
            Whether the runs are seeds of one model too.
        """
        key, name = seedless(self.each)
        if self.each.learned is None:
            return (RAW if one_model else f"{self.run}/{RAW}"), (RAW if one_model else self.run)
        return (key, name) if one_model else (f"{self.run}/{key}", f"{self.run}: {name}")


def seedless(each: Representation) -> tuple[str, str]:
    """What a set of features has in common with those of other seeds, and its name without the seed."""
    if each.learned is None:
        return RAW, RAW
    left_out = ("seed", "weights_sha256")
    card = {name: value for name, value in each.learned.model.card().items() if name not in left_out}
    return json.dumps(card, sort_keys=True, default=str), _SEED.sub("", each.name) or each.name


def parts_of(every: Sequence[tuple[str, Representation]], notes: list[str]) -> list[Part]:
    """Sets of features, each with the name of its run, on the pairs that all share.

    Pairs are the same where their ids are. Where the scored pairs of all are the same, kept scores are used; else
    embeddings and codes are scored again on the shared pairs, and a sentence on it is added to ``notes``.

    Raises
    ------
    ModalensError
        If fewer than two pairs are shared, or the modalities differ.
    """
    ids = [np.asarray([str(name) for name in each.store.ids[each.rows]], dtype=object) for _, each in every]
    shared = set(ids[0]).intersection(*map(set, ids[1:]))
    if len(shared) < 2:
        raise InputError(
            "The runs share fewer than two pairs by id; give runs of the same pairs, or use modalens models."
        )
    order = [name for name in ids[0] if name in shared]
    if len({each.store.modalities for _, each in every}) > 1:
        raise InputError("The runs are of other modalities than each other; give runs of the same pairs.")
    again = any(len(own) > len(order) for own in ids)
    if again:
        counted = ", ".join(
            sorted({f"{label} {len(own):,}" for (label, _), own in zip(every, ids, strict=True)})
        )
        notes.append(
            f"Scored again on the {len(order):,} shared pairs (of {counted}); Mono and verdicts are of all."
        )
    parts = []
    for (label, each), known in zip(every, ids, strict=True):
        place = {name: row for row, name in enumerate(known)}
        rows = each.rows[[place[name] for name in order]]
        scores = score_again(each, rows) if again else each.scores
        parts.append(Part(label, each, rows, scores, load_interpretation(each)))
    return parts


def score_again(each: Representation, rows: Int[np.ndarray, " n"]) -> Scores:
    """Scores of some pairs."""
    groups, images = each.all_groups(), each.store.image_numbers
    return score(
        each.store.image.pick(rows),
        each.store.text.pick(rows),
        each.scores.config,
        groups=None if groups is None else groups[rows],
        image_ids=None if images is None else images[rows],
        modalities=each.store.modalities,
    )
