"""How well features of a planted space match what was planted: recovery, attribution, split and private concepts."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Matrix
from modalens.dominance import ESTIMATORS, RULES, modality_dominance
from modalens.errors import ModalensError
from modalens.interpret.bridges import LEAST_SHUFFLES, bridges
from modalens.options import DEFAULT_ESTIMATOR, DEFAULT_RULE
from modalens.planted.worlds import Planted

# From this correlation on a feature stands for an atom.
MATCHES = 0.7
# Classes are judged where so many atoms are recovered.
LEAST_RECOVERED = 12
# Atoms that fire in fewer of the held-out pairs are not asked for.
LEAST_FIRINGS = 5


@dataclass(frozen=True, eq=False)
class Matches:
    """Which feature stands for which atom, by correlation over the samples of both modalities.

    Attributes
    ----------
    live
        Atoms that fire often enough to be asked for, (a,).
    best
        The feature that correlates most with each atom, (a,).
    correlations
        By how much, (a,); magnitudes, for features that change sign.
    atom, atom_correlations
        The atom that correlates most with each feature, (f,), and by how much.
    joint
        Largest correlation of each split concept, both of its halves taken together, with any feature, (a,), and that
        feature, (a,); NaN and -1 for atoms of other kinds.
    """

    live: Bool[np.ndarray, " a"]
    best: Int[np.ndarray, " a"]
    correlations: Float[np.ndarray, " a"]
    atom: Int[np.ndarray, " f"]
    atom_correlations: Float[np.ndarray, " f"]
    joint: tuple[Float[np.ndarray, " a"], Int[np.ndarray, " a"]]

    @property
    def recovered(self) -> Bool[np.ndarray, " a"]:
        """Live atoms that a feature stands for, (a,)."""
        return self.live & (self.correlations > MATCHES)


def match(planted: Planted, image_codes: Matrix, text_codes: Matrix) -> Matches:
    """Match the features that two paired matrices of codes (n, f) hold with the atoms of a planted space."""
    truth = _stacked(planted.image_codes, planted.text_codes)
    codes = _stacked(image_codes, text_codes)
    correlations = _correlations(truth, codes)
    splits = np.flatnonzero(planted.partner >= 0)
    together = _correlations(truth[:, splits] + truth[:, planted.partner[splits]], codes)
    joint = np.full(len(planted.kind), np.nan), np.full(len(planted.kind), -1)
    joint[0][splits], joint[1][splits] = together.max(axis=1, initial=0), together.argmax(axis=1)
    return Matches(
        live=(truth > 0).sum(axis=0) >= LEAST_FIRINGS,
        best=correlations.argmax(axis=1),
        correlations=correlations.max(axis=1),
        atom=correlations.argmax(axis=0),
        atom_correlations=correlations.max(axis=0),
        joint=joint,
    )


def recovery(
    planted: Planted, matches: Matches, decoder: Float[np.ndarray, "f d"] | None
) -> dict[str, float]:
    """Share of live atoms that a feature stands for, and the mean cosine of an atom to the nearest decoder row.

    The direction of a shared concept is the one between those of the two modalities.
    """
    found = {"recovery": float(matches.recovered.sum() / matches.live.sum())}
    if decoder is not None:
        norms = np.linalg.norm(decoder, axis=1, keepdims=True)
        rows = np.divide(decoder, norms, out=np.zeros_like(decoder), where=norms > 0)
        between = planted.atoms.sum(axis=0)
        between /= np.linalg.norm(between, axis=1, keepdims=True)
        found["cosine"] = float((between @ rows.T).max(axis=1)[matches.live].mean())
    return found


def attribution(
    planted: Planted, matches: Matches, image_codes: Matrix, text_codes: Matrix
) -> dict[tuple[str, str], float]:
    """How often the class of a feature is that of its atom, by estimator and rule.

    Accuracy over recovered atoms, balanced over their owners: the mean of the shares that are right of those of images,
    of texts and of both; 1/3 by chance. Empty where under 12 atoms are recovered. Estimators that agree with another
    wherever both are defined are left out, and so are those that are not defined on these codes.
    """
    found: dict[tuple[str, str], float] = {}
    if matches.recovered.sum() < LEAST_RECOVERED:
        return found
    for estimator, each in ESTIMATORS.items():
        if each.same_as is not None:
            continue
        try:
            mds = modality_dominance(image_codes, text_codes, estimator, resamples=0)
        except ModalensError:
            continue
        for rule in RULES:
            right = mds.with_rule(rule).labels[matches.best] == planted.owner
            owners = [
                right[matches.recovered & (planted.owner == owner)] for owner in ("image", "text", "cross")
            ]
            found[estimator, rule] = float(np.mean([each.mean() for each in owners if len(each)]))
    return found


def verdicts(
    planted: Planted,
    matches: Matches,
    image_codes: Matrix,
    text_codes: Matrix,
    decoder: Float[np.ndarray, "f d"] | None,
    seed: int,
) -> dict[str, float]:
    """What becomes of split and of private concepts, under the default estimator and rule.

    Returns
    -------
    dict
        ``split_found``: share of live split concepts whose two halves are features that are each other's partners with
        the verdict split. ``split_healed``: share that one cross-modal feature stands for. ``private_found``: share of
        live private atoms whose feature has the verdict private. ``false_private``: share of the features called
        private that stand for an atom which is not, of those that stand for one. ``false_split``: the same of features
        called split. NaN for a share of none.
    """
    mds = modality_dominance(image_codes, text_codes, DEFAULT_ESTIMATOR, DEFAULT_RULE, resamples=0)
    links = bridges(image_codes, text_codes, decoder, mds, seed, shuffles=LEAST_SHUFFLES)
    first = np.flatnonzero((planted.kind == "split") & (planted.owner == "image"))
    second = planted.partner[first]
    asked = matches.live[first] & matches.live[second]
    halves = matches.best[first], matches.best[second]
    found = matches.recovered[first] & matches.recovered[second]
    for one, other in (halves, halves[::-1]):
        found &= (links.verdict[one] == "split") & (links.partners[one] == other[:, None]).any(axis=1)
    correlation, feature = (each[first] for each in matches.joint)
    healed = (correlation > MATCHES) & (mds.labels[feature] == "cross")
    private = planted.kind == "private"
    called = matches.recovered & (links.verdict[matches.best] == "private")
    stands = matches.atom_correlations > MATCHES

    def false(verdict: str, kind: str) -> float:
        judged = stands & (links.verdict == verdict)
        return _share(planted.kind[matches.atom[judged]] != kind)

    return {
        "split_found": _share(found[asked]),
        "split_healed": _share(healed[asked]),
        "private_found": _share(called[private & matches.live]),
        "false_private": false("private", "private"),
        "false_split": false("split", "split"),
    }


def _share(right: Bool[np.ndarray, " n"]) -> float:
    return float(right.mean()) if len(right) else float("nan")


def _stacked(image: Matrix, text: Matrix) -> Float[np.ndarray, "n2 f"]:
    sides = [side.toarray() if sp.issparse(side) else np.asarray(side) for side in (image, text)]
    return np.concatenate(sides).astype(np.float64)


def _correlations(
    truth: Float[np.ndarray, "n a"], codes: Float[np.ndarray, "n f"]
) -> Float[np.ndarray, "a f"]:
    """Magnitudes of the correlations of columns; 0 for columns that do not vary."""
    scaled = []
    for values in (truth, codes):
        centred = values - values.mean(axis=0)
        norms = np.linalg.norm(centred, axis=0)
        scaled.append(np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 1e-12))
    found: np.ndarray = np.abs(scaled[0].T @ scaled[1])
    return found
