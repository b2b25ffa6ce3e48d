"""The papers' own way of telling an attribute, beside ours: one random reference, in the space of another model.

Beyond Cross-Modal Alignment, section A.5.1: the reference of a value is one randomly chosen sample of which the
classifier is sure; as many features of either class are zeroed in a sample as it has of the rarer one; and the edited
sample has the value of the nearer reference in the space of a separate encoder, one for images and one for texts. How
features come into that space is not said: here a linear map takes them there, fitted on pairs that are not tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import Ridge

from modalens.arrays import Block, normalize_rows
from modalens.dominance.result import Dominance
from modalens.edit import live_features
from modalens.edit.index_sets import RANDOM
from modalens.pairs.modality import many
from modalens.statistics.intervals import percentile_interval
from modalens.studies.attribute_probing.attributes import Attribute, published_change
from modalens.studies.attribute_probing.nearest import Design
from modalens.studies.attribute_probing.tables import ALL

REFERENCES = 20  # draws of the reference for each seed; the papers draw once
_PENALTY = 0.1  # of the linear map, in mean squared lengths of a sample


@dataclass(frozen=True, eq=False)
class PublishedWay:
    """What the papers' way measures on one side of the pairs.

    Attributes
    ----------
    edits
        Class whose features were removed, ``random`` last.
    right
        Share of the tested pairs of each value that are told right, whole (first) and after each edit, for each
        draw of the references, (1 + e, r, v).
    removed
        Features that were zeroed in a sample, mean over the tested pairs.
    """

    edits: tuple[str, ...]
    right: Float[np.ndarray, "e r v"]
    removed: float


def measure_published_way(
    tested: Block,
    references: Block,
    encoded: Float[np.ndarray, "n h"],
    plan: Design,
    mds: Dominance,
    seed: int,
) -> PublishedWay:
    """Tell the tested pairs of one side apart as the papers do.

    Parameters
    ----------
    tested, references
        Features of ``plan.tested`` and ``plan.references``.
    encoded
        Embeddings of every pair's sample by the separate encoder, by row of the matrices.
    plan
        Who is tested against whom; the linear map and the references come from the same pairs as ours.
    mds
        Scores under the rule that makes the classes.
    seed
        Of the references and of the features that are removed.
    """
    units, _ = normalize_rows(np.asarray(encoded, dtype=np.float64)[plan.references.rows])
    labels = plan.references.labels
    rng = np.random.default_rng(seed)
    image, text = mds.modalities
    edits = (image, text, RANDOM)
    hits = np.zeros((1 + len(edits), len(plan.rounds) * REFERENCES, len(plan.values)))
    removed = []
    for turn, splits in enumerate(plan.rounds):
        draws = slice(turn * REFERENCES, (turn + 1) * REFERENCES)
        for refer, test in splits:
            towards = _linear_map(references[refer], units[refer])
            x, edited, counts = equal_counts_removed(tested[test], mds, rng)
            removed.append(counts)
            golden = np.stack(
                [rng.choice(refer[labels[refer] == value], REFERENCES) for value in range(len(plan.values))]
            )
            truth = plan.tested.labels[test]
            for place, features in enumerate((x, *edited)):
                # Golden samples have length 1, so the nearest one is that of the largest product.
                products = towards.predict(features) @ units[golden.ravel()].T
                products = products.reshape(len(test), len(plan.values), REFERENCES)
                told = products.argmax(axis=1) == truth[:, None]
                for value in range(len(plan.values)):
                    hits[place, draws, value] += told[truth == value].sum(axis=0)
    counts_of = np.bincount(plan.tested.labels, minlength=len(plan.values))
    return PublishedWay(edits, hits / counts_of, float(np.concatenate(removed).mean()))


def equal_counts_removed(
    x: Block, mds: Dominance, rng: np.random.Generator
) -> tuple[sp.csr_array, list[sp.csr_array], Int[np.ndarray, " n"]]:
    """Samples whole, and without random active features of each one-sided class, and of all live features.

    As many are zeroed in each sample as it has active features of the class of which it has fewer.

    Returns
    -------
    whole, edited, counts
        Features (n, f); the same without features of the first side's class, of the second's, and of any; and how
        many were zeroed in each sample.
    """
    whole = sp.csr_array(x)
    whole.eliminate_zeros()
    rows = np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr))
    members = [_members(mds.indices(name), whole.shape[1])[whole.indices] for name in mds.modalities]
    members.append(_members(live_features(mds), whole.shape[1])[whole.indices])
    active = [np.bincount(rows[each], minlength=whole.shape[0]) for each in members[:2]]
    counts = np.minimum(*active)
    edited = []
    for each in members:
        left = whole.copy()
        left.data = np.where(_chosen(rows, each, counts, rng), 0.0, left.data)
        edited.append(left)
    return whole, edited, counts


def published_way_table(
    found: Mapping[str, PublishedWay],
    overall: pd.DataFrame,
    by_value: pd.DataFrame,
    plan: Design,
    attribute: Attribute,
) -> pd.DataFrame:
    """One row for each input, value and class: the change in %, our way and the papers', and their difference.

    ``ours`` is the table ``accuracy``'s or ``by_value``'s ``relative`` with its 95 % interval; ``their_way`` the mean
    over draws of the references, and where 95 % of these draws lie; ``difference`` = their_way - ours. ``published``
    is the papers' own number. ``told_ours`` and ``told_their_way`` are the accuracies before, ``removed`` the mean
    number of features their way zeroes in a sample.
    """
    weights = np.bincount(plan.tested.labels, minlength=len(plan.values))
    rows = []
    for modality, way in found.items():
        parts: list[tuple[str, np.ndarray]] = [(ALL, np.average(way.right, axis=2, weights=weights))]
        parts += [(value, way.right[..., number]) for number, value in enumerate(plan.values)]
        for value, right in parts:
            ours = overall if value == ALL else by_value[by_value["value"] == value]
            ours = ours[ours["input"] == modality]
            size = ours.loc[ours["kind"] == "class", "removed"].max()
            told = ours.loc[ours["kind"] == "whole", "accuracy"].iloc[0]
            for number, without in enumerate(way.edits, start=1):
                own = ours[(ours["without"] == without) & (ours["removed"] == size)]
                cells = {
                    f"ours{end}": float(own[f"relative{end}"].iloc[0]) if len(own) else np.nan
                    for end in ("", "_low", "_high")
                }
                with np.errstate(invalid="ignore", divide="ignore"):
                    change = 100 * (right[number].mean() / right[0].mean() - 1)
                    low, high = percentile_interval(100 * (right[number] / right[0] - 1))
                rows.append(
                    {
                        "input": modality,
                        "value": value,
                        "without": without,
                        **cells,
                        "their_way": change,
                        "their_way_low": float(low),
                        "their_way_high": float(high),
                        "difference": change - cells["ours"],
                        "published": published_change(attribute, modality, value, without),
                        "told_ours": told,
                        "told_their_way": float(right[0].mean()),
                        "removed": way.removed,
                    }
                )
    return pd.DataFrame(rows)


def published_way_statements(table: pd.DataFrame, encoders: Sequence[str]) -> list[str]:
    """What their way is, and how far it is from ours."""
    spaces = " and ".join(dict.fromkeys(encoders))
    said = [
        (
            "Their way, as published: the reference of a value is one random sample (the papers draw one, here "
            f"{REFERENCES} are drawn for each seed); a sample loses as many features of either class as it has of the "
            f"rarer one; and it is compared in the space of {spaces}. The papers do not say how features come there; "
            "here a linear map takes them, fitted on pairs that are not tested."
        )
    ]
    for row in table[(table["value"] == ALL) & (table["without"] != RANDOM)].to_dict("records"):
        ours = "has no such row" if np.isnan(row["ours"]) else f"changes by {row['ours']:+.1f} %"
        apart = "" if np.isnan(row["ours"]) else f", {row['difference']:+.1f} from ours"
        said.append(
            f"Without {row['without']} features the accuracy on {many(row['input'])} {ours} our way (of "
            f"{row['told_ours']:.0%}), and by {row['their_way']:+.1f} % their way (of {row['told_their_way']:.0%})"
            f"{apart}; 95 % of the draws of their references lie between {row['their_way_low']:+.1f} and "
            f"{row['their_way_high']:+.1f} %."
        )
    return said


def _linear_map(x: Block, units: Float[np.ndarray, "n h"]) -> Ridge:
    lengths = (x.multiply(x) if sp.issparse(x) else np.asarray(x) ** 2).sum(axis=1)
    return Ridge(alpha=max(_PENALTY * float(np.mean(lengths)), 1e-12), random_state=0).fit(x, units)


def _members(indices: Int[np.ndarray, " k"], n_features: int) -> Bool[np.ndarray, " f"]:
    member = np.zeros(n_features, dtype=bool)
    member[indices] = True
    return member


def _chosen(
    rows: Int[np.ndarray, " z"],
    member: Bool[np.ndarray, " z"],
    counts: Int[np.ndarray, " n"],
    rng: np.random.Generator,
) -> Bool[np.ndarray, " z"]:
    """Of each row's members so many at random."""
    places = np.flatnonzero(member)
    order = places[np.lexsort((rng.random(len(places)), rows[places]))]
    sorted_rows = rows[order]
    first = np.searchsorted(sorted_rows, sorted_rows)
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[order[np.arange(len(order)) - first < counts[sorted_rows]]] = True
    return chosen
