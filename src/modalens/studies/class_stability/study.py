"""Do the classes hold when something changes that should not matter?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import Matrix, default_block_rows, iter_paired_blocks, matrix_shape, paired_shape
from modalens.dominance import DominanceSums, modality_dominance
from modalens.dominance.classes import class_names
from modalens.dominance.rules import class_codes
from modalens.errors import ModalensError
from modalens.interpret.matching import match_features
from modalens.statistics.buckets import Buckets
from modalens.statistics.groups import group_keys
from modalens.studies.class_stability.by_pairs import by_pairs, statement
from modalens.studies.class_stability.config import StabilityConfig
from modalens.studies.options import estimator_names, rule_names, settings_of
from modalens.studies.result import StudyResult
from modalens.studies.stats.contingency import class_agreement


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
    groups: Sequence[Any] | np.ndarray | None = None,
    decoder: Matrix | None = None,
    others: Mapping[str, Retrained] | None = None,
    modalities: tuple[str, str] = ("image", "text"),
    source: Mapping[str, Any] | None = None,
    config: StabilityConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Compare classes across samples of pairs, halves, estimators, normalisation and trainings.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    groups
        One label a pair; pairs of one group are drawn together and stay in one half.
    decoder
        Decoder rows of the features, (f, d); needed with ``others``.
    others
        The same features trained again, by name. They are matched by decoder cosine, and only matched features
        are compared.
    modalities
        Names of the two sides.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`StabilityConfig`, and options of it by name. Scores are compared with those of every other
        estimator that the features allow and that gives other scores, and with those of the other choice of
        ``normalize``.

    Returns
    -------
    StudyResult
        Table ``stability``, one row a comparison and class rule: ``features`` compared, the share that keeps its
        class (``same``), adjusted Rand index (``ari``) and Cohen's ``kappa``, each with the 95 % interval of
        a Bayesian bootstrap over features, and what permuted classes give (``*_chance``); see
        :class:`modalens.studies.stats.contingency.ClassAgreement`. Higher is steadier. Halves hold half the pairs each,
        so they agree less than two full samples would. Table ``by_pairs``: scores and class counts of growing parts of
        the pairs (see :func:`modalens.studies.class_stability.by_pairs.by_pairs`). With ``others``, table ``matches``:
        how many live features found a partner, the median cosine of those, and how many of as many random directions
        find one (``matched_frozen_decoder``: two seeds of a dictionary whose decoder is not trained).

    Raises
    ------
    ModalensError
        If sizes do not match, there is only one pair or group, an option is unknown or out of range, or
        ``others`` are given without ``decoder``.
    """
    config = StabilityConfig.of(config, options, "stability")
    class_names(modalities)
    n_pairs, n_features = paired_shape(image, text, modalities)
    keys = np.arange(n_pairs) if groups is None else group_keys(groups, n_pairs)
    others = dict(others or {})
    unit = "pairs" if groups is None else "groups"
    comparisons = _own_comparisons(image, text, keys, config, modalities, unit)
    own = comparisons[0].first[:, :1]
    matches = []
    for name, other in others.items():
        if decoder is None or matrix_shape(decoder, "The decoder")[0] != n_features:
            raise ModalensError(
                f"To compare with {name} give the decoder of these {n_features} features, one row each."
            )
        score = _scores_of(other, name, config, modalities)
        match = match_features(decoder, other.decoder, config.match_threshold)
        live = ~np.isnan(own[match.first, 0]) & ~np.isnan(score[match.second])
        rows = (match.first[live], match.second[live])
        comparisons.append(_Comparison(name, own, score[:, None], rows))
        matches.append(
            {
                "other": name,
                "features": int((~np.isnan(own)).sum()),
                "matched": int(live.sum()),
                "cosine": float(np.median(match.cosine[live])) if live.any() else np.nan,
                "matched_frozen_decoder": _matched_by_chance(decoder, other.decoder, config),
            }
        )
    table = pd.DataFrame(
        [_row(comparison, rule, config.seed) for comparison in comparisons for rule in rule_names()]
    )
    growing = by_pairs(image, text, keys, config, modalities)
    tables = {"stability": table, "by_pairs": growing}
    if matches:
        tables["matches"] = pd.DataFrame(matches)
    return StudyResult(
        name="stability",
        title="Do the classes hold?",
        tables=tables,
        statements=[
            *_statements(table, matches, config.match_threshold),
            *([] if (told := statement(growing, modalities)) is None else [told]),
        ],
        config={
            **settings_of(config, StabilityConfig),
            "modalities": list(modalities),
            "pairs": n_pairs,
            "groups": len(np.unique(keys)) if groups is not None else None,
            "others": list(others),
        },
        source=dict(source or {}),
    )


def _matched_by_chance(first: Matrix, second: Matrix, config: StabilityConfig) -> int:
    """Matches between as many random directions."""
    rng = np.random.default_rng((config.seed, 9))
    rows = [rng.standard_normal(matrix_shape(each, "A decoder")) for each in (first, second)]
    return len(match_features(rows[0], rows[1], config.match_threshold))


def _own_comparisons(
    image: Matrix,
    text: Matrix,
    keys: Int[np.ndarray, " n"],
    config: StabilityConfig,
    modalities: tuple[str, str],
    unit: str,
) -> list[_Comparison]:
    """Everything that one walk over the pairs can compare."""
    n_features = int(image.shape[1])

    def sums(
        estimator: str = config.estimator, buckets: Buckets | None = None, swap: bool = False
    ) -> DominanceSums:
        normalize = config.normalize != swap
        return DominanceSums(
            n_features,
            estimator,
            normalize=normalize,
            buckets=buckets,
            modalities=modalities,
        )

    whole, by_scale = sums(buckets=Buckets.of(len(keys), keys, n_features)), sums(swap=True)
    by_estimator = {name: sums(name) for name in estimator_names() if name != config.estimator}
    halves = [(sums(), sums()) for _ in range(config.splits)]
    first_half = _halves(keys, config.splits, config.seed)
    rows = default_block_rows(image)
    for start, a, b in iter_paired_blocks(image, text, rows, modalities):
        here = slice(start, start + a.shape[0])
        whole.update(start, a, b, keys[here])
        for name in list(by_estimator):
            try:
                by_estimator[name].update(start, a, b)
            except ModalensError:  # it is not defined for these features
                del by_estimator[name]
        by_scale.update(start, a, b)
        for split, couple in enumerate(halves):
            for side, half in enumerate(couple):
                inside = first_half[here, split] == (side == 0)
                if inside.any():
                    half.update(start, a[inside], b[inside])
    own = whole.scores()[:, None]
    resampled = whole.resampled_scores(config.resamples, config.seed)
    firsts, seconds = (np.stack([couple[side].scores() for couple in halves], axis=1) for side in (0, 1))
    return [
        _Comparison(f"bootstrap of {unit}", np.broadcast_to(own, resampled.shape), resampled),
        _Comparison(f"halves of {unit}", firsts, seconds),
        *_other_estimators(own, by_estimator),
        _Comparison("not normalised" if config.normalize else "normalised", own, by_scale.scores()[:, None]),
    ]


def _other_estimators(
    own: Float[np.ndarray, "f 1"], found: Mapping[str, DominanceSums]
) -> Iterator[_Comparison]:
    """Comparisons with the estimators that give other scores than those before them."""
    known = [own]
    for name, sums in found.items():
        scores = sums.scores()[:, None]
        if not any(np.allclose(scores, before, rtol=0, atol=1e-12, equal_nan=True) for before in known):
            known.append(scores)
            yield _Comparison(name, own, scores)


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
    other: Retrained, name: str, config: StabilityConfig, modalities: tuple[str, str]
) -> Float[np.ndarray, " g"]:
    _, width = paired_shape(other.image, other.text, modalities)
    rows = matrix_shape(other.decoder, f"The decoder of {name}")[0]
    if rows != width:
        raise ModalensError(
            f"{name} has {width} features and a decoder of {rows} rows; give one row a feature."
        )
    scored = modality_dominance(
        other.image,
        other.text,
        config.estimator,
        normalize=config.normalize,
        resamples=0,
        modalities=modalities,
    )
    return scored.score


def _row(comparison: _Comparison, rule: str, seed: int) -> dict[str, Any]:
    first, second = class_codes(comparison.first, rule), class_codes(comparison.second, rule)
    if comparison.rows is not None:
        first, second = first[comparison.rows[0]], second[comparison.rows[1]]
    return {"comparison": comparison.name, "rule": rule, **class_agreement(first, second, seed).to_dict()}


def _statements(table: pd.DataFrame, matches: Sequence[Mapping[str, Any]], threshold: float) -> list[str]:
    said = []
    for rule in rule_names():
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
        f"of at least {threshold} (of as many random directions, as a frozen decoder has: "
        f"{match['matched_frozen_decoder']:,}); only these are compared."
        for match in matches
    ]
    return said
