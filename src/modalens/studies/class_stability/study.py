"""Do the classes hold when something changes that should not matter?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import Matrix, default_block_rows, iter_paired_blocks, matrix_shape, paired_shape
from modalens.dominance import RULES, DominanceSums, modality_dominance
from modalens.dominance.classes import class_codes, class_names
from modalens.errors import ModalensError
from modalens.statistics.bootstrap import check_resampling, draw, group_keys
from modalens.statistics.checks import check_whole
from modalens.studies.class_stability.matching import match_features
from modalens.studies.result import StudyResult
from modalens.studies.stats.contingency import class_agreement

_MATCH = 0.7


@dataclass(frozen=True, eq=False)
class Retrained:
    """The same kind of features from another training, say another seed.

    Attributes
    ----------
    image, text
        What they make of the same pairs, (n, g).
    decoder
        Their decoder rows, (g, d).
    """

    image: Matrix
    text: Matrix
    decoder: Matrix


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Scores of the same features made in two ways, (f, r) each: NaN for dead features."""

    name: str
    first: Float[np.ndarray, "f r"]
    second: Float[np.ndarray, "f r"]
    # Which features of either side are compared, after classes were made of all.
    rows: tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]] | None = None


def stability(
    image: Matrix,
    text: Matrix,
    *,
    estimator: str = "mean_ratio",
    normalize: bool = False,
    groups: Sequence[Any] | np.ndarray | None = None,
    decoder: Matrix | None = None,
    others: Mapping[str, Retrained] | None = None,
    resamples: int = 50,
    splits: int = 10,
    seed: int = 0,
    modalities: tuple[str, str] = ("image", "text"),
    source: Mapping[str, Any] | None = None,
) -> StudyResult:
    """Compare classes across samples of pairs, halves, estimators, normalisation and trainings.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns; one walk over them.
    estimator, normalize
        How scores are made (see :func:`modalens.dominance.modality_dominance`); what they are compared with is
        the other choice. ``signed_ratio`` gives the scores of ``mean_ratio`` wherever it is defined, so
        ``mean_ratio`` and ``energy_ratio`` are the two.
    groups
        One label a pair; pairs of one group are drawn together and stay in one half.
    decoder
        Decoder rows of the features, (f, d); needed with ``others``.
    others
        The same features trained again, by name. They are matched by decoder cosine, at least 0.7, and only
        matched features are compared.
    resamples
        Bootstrap samples of the pairs.
    splits
        Random splits of the pairs in two halves.
    seed
        Of all draws.
    modalities
        Names of the two sides.
    source
        What the study is run on; kept with the result.

    Returns
    -------
    StudyResult
        Table ``stability``, one row a comparison and class rule: ``features`` compared, the share that keeps its
        class (``same``), adjusted Rand index (``ari``) and Cohen's ``kappa``, each with the 95 % interval of
        a bootstrap over features, and what permuted classes give (``*_chance``); see
        :class:`modalens.studies.stats.contingency.ClassAgreement`. Higher is steadier. Halves hold half the pairs each,
        so they agree less than two full samples would. With ``others``, table ``matches``: how many live
        features found a partner, and the median cosine of those.

    Raises
    ------
    ModalensError
        If sizes do not match, there is only one pair or group, a setting is out of range, or ``others`` are
        given without ``decoder``.
    """
    class_names(modalities)
    n_pairs, n_features = paired_shape(image, text, modalities)
    _, seed = check_resampling(0, seed)
    resamples, splits = check_whole("resamples", resamples, 1), check_whole("splits", splits, 1)
    keys = np.arange(n_pairs) if groups is None else group_keys(groups, n_pairs)
    others = dict(others or {})
    comparisons = _own_comparisons(
        image, text, keys, estimator, normalize, resamples, splits, seed, modalities, groups is not None
    )
    own = comparisons[0].first[:, :1]
    matches = []
    for name, other in others.items():
        if decoder is None or matrix_shape(decoder, "The decoder")[0] != n_features:
            raise ModalensError(
                f"To compare with {name} give the decoder of these {n_features} features, one row each."
            )
        score = _scores_of(other, name, estimator, normalize, modalities)
        match = match_features(decoder, other.decoder, _MATCH)
        live = ~np.isnan(own[match.first, 0]) & ~np.isnan(score[match.second])
        rows = (match.first[live], match.second[live])
        comparisons.append(_Comparison(name, own, score[:, None], rows))
        matches.append(
            {
                "other": name,
                "features": int((~np.isnan(own)).sum()),
                "matched": int(live.sum()),
                "cosine": float(np.median(match.cosine[live])) if live.any() else np.nan,
            }
        )
    table = pd.DataFrame([_row(comparison, rule, seed) for comparison in comparisons for rule in RULES])
    tables = {"stability": table}
    if matches:
        tables["matches"] = pd.DataFrame(matches)
    return StudyResult(
        name="stability",
        title="Do the classes hold?",
        tables=tables,
        statements=_statements(table, matches),
        config={
            "estimator": estimator,
            "normalize": normalize,
            "modalities": list(modalities),
            "pairs": n_pairs,
            "groups": len(np.unique(keys)) if groups is not None else None,
            "others": list(others),
            "match_threshold": _MATCH,
            "resamples": resamples,
            "splits": splits,
            "seed": seed,
        },
        source=dict(source or {}),
    )


def _own_comparisons(
    image: Matrix,
    text: Matrix,
    keys: Int[np.ndarray, " n"],
    estimator: str,
    normalize: bool,
    resamples: int,
    splits: int,
    seed: int,
    modalities: tuple[str, str],
    grouped: bool,
) -> list[_Comparison]:
    """Everything that one walk over the pairs can compare."""
    n_features = int(image.shape[1])
    swapped = "mean_ratio" if estimator == "energy_ratio" else "energy_ratio"

    def sums(estimator: str = estimator, normalize: bool = normalize, resamples: int = 0) -> DominanceSums:
        return DominanceSums(
            n_features, estimator, normalize=normalize, resamples=resamples, seed=seed, modalities=modalities
        )

    whole = sums(resamples=resamples)
    by_estimator, by_scale = sums(estimator=swapped), sums(normalize=not normalize)
    halves = [(sums(), sums()) for _ in range(splits)]
    first_half = _halves(keys, splits, seed)
    rows = default_block_rows(image)
    for start, a, b in iter_paired_blocks(image, text, rows, modalities):
        here = slice(start, start + a.shape[0])
        whole.update(start, a, b, draw(keys[here], resamples, seed))
        by_estimator.update(start, a, b)
        by_scale.update(start, a, b)
        for split, couple in enumerate(halves):
            for side, half in enumerate(couple):
                inside = first_half[here, split] == (side == 0)
                if inside.any():
                    half.update(start, a[inside], b[inside])
    own = whole.scores()[:, None]
    resampled = whole.resampled_scores()
    firsts, seconds = (np.stack([couple[side].scores() for couple in halves], axis=1) for side in (0, 1))
    unit = "groups" if grouped else "pairs"
    return [
        _Comparison(f"bootstrap of {unit}", np.broadcast_to(own, resampled.shape), resampled),
        _Comparison(f"halves of {unit}", firsts, seconds),
        _Comparison(swapped, own, by_estimator.scores()[:, None]),
        _Comparison("not normalised" if normalize else "normalised", own, by_scale.scores()[:, None]),
    ]


def _halves(keys: Int[np.ndarray, " n"], splits: int, seed: int) -> np.ndarray:
    """Whether each pair is in the first half of each split, (n, s); pairs that share a key stay together."""
    distinct, number = np.unique(keys, return_inverse=True)
    if len(distinct) < 2:
        raise ModalensError("There is only one pair or group; stability needs at least two, to make halves.")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    place = np.stack([rng.permutation(len(distinct)) for _ in range(splits)], axis=1)
    first: np.ndarray = (place < len(distinct) // 2)[number]
    return first


def _scores_of(
    other: Retrained, name: str, estimator: str, normalize: bool, modalities: tuple[str, str]
) -> Float[np.ndarray, " g"]:
    _, width = paired_shape(other.image, other.text, modalities)
    rows = matrix_shape(other.decoder, f"The decoder of {name}")[0]
    if rows != width:
        raise ModalensError(
            f"{name} has {width} features and a decoder of {rows} rows; give one row a feature."
        )
    scored = modality_dominance(
        other.image, other.text, estimator, normalize=normalize, resamples=0, modalities=modalities
    )
    return scored.score


def _row(comparison: _Comparison, rule: str, seed: int) -> dict[str, Any]:
    first, second = class_codes(comparison.first, rule), class_codes(comparison.second, rule)
    if comparison.rows is not None:
        first, second = first[comparison.rows[0]], second[comparison.rows[1]]
    return {"comparison": comparison.name, "rule": rule, **class_agreement(first, second, seed).to_dict()}


def _statements(table: pd.DataFrame, matches: Sequence[Mapping[str, Any]]) -> list[str]:
    said = []
    for rule in RULES:
        rows = table[table["rule"] == rule].to_dict("records")
        told = [
            f"not defined for {row['comparison']}"
            if np.isnan(row["kappa"])
            else f"{row['kappa']:.2f} ({row['kappa_low']:.2f} to {row['kappa_high']:.2f}) for {row['comparison']}"
            for row in rows
        ]
        chances = [row["kappa_chance_high"] for row in rows if not np.isnan(row["kappa"])]
        beside = f", and permuted classes stay under {max(chances):.2f} in 97.5 % of draws" if chances else ""
        said.append(
            f"Under {rule}, Cohen's kappa between classes is {', '.join(told)}; 1 is full agreement{beside}."
        )
    said += [
        f"{match['matched']:,} of {match['features']:,} live features have a partner in {match['other']} with a cosine "
        f"of at least {_MATCH}; only these are compared."
        for match in matches
    ]
    return said
