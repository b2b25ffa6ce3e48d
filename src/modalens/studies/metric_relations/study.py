"""How do the metrics relate to others?"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import live_features
from modalens.errors import ModalensError
from modalens.interpret import monosemanticity, top_samples
from modalens.pairs.modality import many
from modalens.progress import progress_bar
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import corrected
from modalens.statistics.groups import group_keys
from modalens.statistics.intervals import interval
from modalens.studies.metric_relations.config import MetricsConfig
from modalens.studies.metric_relations.modality_share import modality_share
from modalens.studies.metric_relations.published_metrics import clarity, monosemanticity_score, redundancy
from modalens.studies.metric_relations.rank_correlation import rank_correlation
from modalens.studies.metric_relations.sentences import statements
from modalens.studies.options import settings_of
from modalens.studies.result import StudyResult

R, ONE_SIDED, SHARE = "dominance R", "one-sidedness |2R - 1|", "Shapley share of {}"
_DRAWS = 3


def metric_agreement(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    samples: tuple[Matrix, Matrix],
    sample_embeddings: tuple[Matrix, Matrix],
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    sample_groups: tuple[np.ndarray, np.ndarray] | None = None,
    scores: Mapping[str, np.ndarray] | None = None,
    source: Mapping[str, Any] | None = None,
    config: MetricsConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Correlate metrics of features over features: dominance and Mono, and what others published in their place.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    mds
        Dominance scores of these features.
    samples
        The same features of the distinct images (u, f) and texts (v, f).
    sample_embeddings
        These samples by models that are not under study, (u, h) and (v, g).
    groups, sample_groups
        One label for each pair, and for each distinct image and text; samples of one group count once.
    scores
        More metrics by name, (f,) each with NaN for none, such as scores of names and answers of people.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`MetricsConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``features``: every metric of every live feature. Table ``correlations``, one row a pair of metrics:
        Spearman's rho over features with its interval, p and q (p corrected over the table), see
        :class:`modalens.studies.metric_relations.rank_correlation.RankCorrelation`. Table ``shares``: for every class
        and all live features, the mean Shapley share of the first modality beside the mean R, with intervals over
        features, the share of features on whose stronger side both agree, and the share (``weight``) of what moves
        similarities that these features hold. Table ``pairs``: the mean over pairs of the first modality's share.

    Raises
    ------
    ModalensError
        If sizes do not match, fewer than two features are live, or an option is unknown or out of range.

    Notes
    -----
    Intervals over features take features for the draw, on the samples at hand: they say whether metrics agree on these
    features, not what other samples would give.
    """
    config = MetricsConfig.of(config, options, "metric_agreement")
    n, f = paired_shape(image, text, mds.modalities)
    mds = mds.with_rule(config.rule)
    live = live_features(mds)
    widths = {f, len(mds.score), *(int(each.shape[1]) for each in samples)}
    if widths | {len(each) for each in (scores or {}).values()} != {f}:
        raise ModalensError(f"The matrices and scores are of {sorted(widths)} features; give the same.")
    if len(live) < 2:
        raise ModalensError("Fewer than two features are live, so there is nothing to compare.")
    rows = np.arange(n)
    if n > config.max_pairs:
        rows = np.sort(np.random.default_rng(config.seed).choice(n, config.max_pairs, replace=False))
    share = modality_share(image, text, rows if len(rows) < n else None)
    first = mds.modalities[0]
    found = {R: mds.score, ONE_SIDED: np.abs(2 * mds.score - 1), SHARE.format(many(first)): share.of_feature}
    for place, modality in enumerate(mds.modalities):
        labels = None if sample_groups is None else sample_groups[place]
        found |= _of_side(samples[place], sample_embeddings[place], labels, modality, config)
    found |= scores or {}
    features = pd.DataFrame({"feature": live, "class": mds.labels[live]})
    for name, values in found.items():
        features[name] = np.asarray(values, dtype=np.float64)[live]
    keys = np.arange(n) if groups is None else group_keys(groups, n)
    tables = {
        "correlations": _correlations(features, config),
        "shares": _shares(
            features, share.weight[live], SHARE.format(many(first)), mds.classes[2::-1], config
        ),
        "pairs": _pairs(share.of_pair, keys[rows], first, config),
        "features": features,
    }
    notes = (
        [f"Of {n:,} pairs {len(rows):,} were drawn at random for the Shapley share."] if len(rows) < n else []
    )
    return StudyResult(
        name="metric-agreement",
        title="How do the metrics relate to others?",
        tables=tables,
        statements=[*statements(tables, mds.modalities), *notes],
        config={
            **settings_of(config, MetricsConfig),
            "modalities": list(mds.modalities),
            "pairs": len(rows),
            "live_features": len(live),
        },
        source=dict(source or {}),
    )


def _of_side(
    codes: Matrix, embeddings: Matrix, groups: np.ndarray | None, modality: str, config: MetricsConfig
) -> dict[str, Float[np.ndarray, " f"]]:
    """Metrics of the features on one modality's samples."""
    groups = np.arange(int(codes.shape[0])) if groups is None else groups
    top = top_samples(codes, config.m, config.by, groups=groups)
    scored = monosemanticity(
        codes, embeddings, config.m, config.seed, draws=_DRAWS, by=config.by, groups=groups, top=top
    )
    return {
        f"Mono on {many(modality)}": scored.mono,
        f"MonoSemanticity score on {many(modality)}": monosemanticity_score(codes, embeddings),
        f"clarity on {many(modality)}": clarity(embeddings, top.rows),
        f"redundancy on {many(modality)}": redundancy(embeddings, top.rows),
        f"firing rate on {many(modality)}": top.fired / int(codes.shape[0]),
    }


def _correlations(features: pd.DataFrame, config: MetricsConfig) -> pd.DataFrame:
    names = list(features.columns[2:])
    rows = []
    pairs = list(combinations(names, 2))
    with progress_bar("Correlating metrics", len(pairs)) as advance:
        for a, b in pairs:
            found = rank_correlation(
                features[a].to_numpy(), features[b].to_numpy(), config.resamples, config.seed
            )
            rows.append(
                {
                    "first": a,
                    "second": b,
                    "features": found.features,
                    "spearman": found.value,
                    "spearman_low": found.low,
                    "spearman_high": found.high,
                    "p": found.p,
                }
            )
            advance(1)
    table = pd.DataFrame(rows)
    table["q"] = corrected(table["p"].to_numpy(dtype=np.float64))
    return table


def _shares(
    features: pd.DataFrame,
    weight: Float[np.ndarray, " k"],
    name: str,
    classes: Sequence[str],
    config: MetricsConfig,
) -> pd.DataFrame:
    share, score = features[name].to_numpy(), features[R].to_numpy()
    label = features["class"].to_numpy()
    rows = []
    for of in (*classes, "all"):
        inside = np.flatnonzero(((label == of) | (of == "all")) & ~np.isnan(share))
        if not len(inside):
            continue
        row: dict[str, Any] = {"class": of, "features": len(inside)}
        for what, values in (("dominance", score), ("share", share)):
            row[what] = float(values[inside].mean())
            row[f"{what}_low"], row[f"{what}_high"] = _mean_interval(values[inside], config)
        row["agree"] = float(((share > 0.5) == (score > 0.5))[inside].mean())
        row["weight"] = float(weight[(label == of) | (of == "all")].sum())
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_interval(values: Float[np.ndarray, " k"], config: MetricsConfig) -> tuple[float, float]:
    return interval(resampled_means(values[None], np.arange(len(values)), config.resamples, config.seed)[0])


def _pairs(
    share: Float[np.ndarray, " n"], keys: Int[np.ndarray, " n"], first: str, config: MetricsConfig
) -> pd.DataFrame:
    known = ~np.isnan(share)
    low, high = interval(resampled_means(share[known][None], keys[known], config.resamples, config.seed)[0])
    return pd.DataFrame(
        [
            {
                "modality": first,
                "pairs": int(known.sum()),
                "share": float(share[known].mean()) if known.any() else float("nan"),
                "share_low": low,
                "share_high": high,
            }
        ]
    )
