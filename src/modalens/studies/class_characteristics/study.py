"""Do the classes differ by anything but the score that made them?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import Matrix, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import live_features
from modalens.errors import ModalensError
from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL, corrected
from modalens.studies.class_characteristics.config import PropertiesConfig
from modalens.studies.class_characteristics.measures import column, correlation, mutual_information, rows_of
from modalens.studies.class_characteristics.random_classes import (
    beside_random,
    mean_of,
    random_members,
    strata_of,
)
from modalens.studies.options import settings_of
from modalens.studies.result import StudyResult
from modalens.studies.stats.sentences import CORRECTED, capitalised, power_words, q_words

INFORMATION, CORRELATION, RATE = "mutual information", "correlation across the pair", "firing rate"
# What random classes are alike in, by the end of the columns.
_KINDS = {"": "equal size", "_rate": "equal size and firing rates"}


def class_properties(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    *,
    similarity: Mapping[str, np.ndarray] | None = None,
    source: Mapping[str, Any] | None = None,
    config: PropertiesConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Describe the features of every class, beside classes drawn at random.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    similarity
        For ``image`` and ``text``, the mean cosine between each feature's strongest samples (f,), by a model that is
        not under study (``Monosemanticity.similarity``). Without it the spread within strongest samples is left out.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`PropertiesConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``properties``, one row a property and class: mean over the class's live features beside random classes of
        equal size and (columns that end in ``_rate``) of equal size and firing rates, see
        :class:`modalens.studies.class_characteristics.random_classes.BesideRandom`. All p of the table are corrected
        together (``q``). Table ``features``: every property of every live feature.

        Properties: mutual information of activity and modality in bits, corrected for few samples; correlation of the
        feature's two sides over pairs; spread of the strongest samples of each modality, 1 - mean cosine; share of
        samples in which it fires, over both sides and on each.

    Raises
    ------
    ModalensError
        If sizes do not match, fewer than two features are live, or an option is unknown or out of range.
    """
    config = PropertiesConfig.of(config, options, "class_properties")
    n, n_features = paired_shape(image, text, mds.modalities)
    sizes = {n_features, len(mds.score), *(len(each) for each in (similarity or {}).values())}
    if len(sizes) > 1:
        raise ModalensError(
            f"The matrices, scores and similarities are of {sorted(sizes)} features; give the same."
        )
    mds = mds.with_rule(config.rule)
    live = live_features(mds)
    if len(live) < 2:
        raise ModalensError("Fewer than two features are live, so there are no classes to compare.")
    rows = np.arange(n)
    if n > config.max_pairs:
        rows = np.sort(np.random.default_rng(config.seed).choice(n, config.max_pairs, replace=False))
    features = _describe(image, text, rows, live, similarity or {}, mds.modalities, config.bins)
    features.insert(1, "class", mds.labels[live])
    table = _table(features, mds.classes[2::-1], config)
    notes = (
        []
        if similarity
        else ["The features were not interpreted, so the spread of strongest samples is left out."]
    )
    if len(rows) < n:
        notes.append(f"Of {n:,} pairs {len(rows):,} were drawn at random.")
    return StudyResult(
        name="class-properties",
        title="What else tells the classes apart?",
        tables={"properties": table, "features": features},
        statements=[*_statements(table), *notes],
        config={
            **settings_of(config, PropertiesConfig),
            "modalities": list(mds.modalities),
            "pairs": len(rows),
            "live_features": len(live),
        },
        source=dict(source or {}),
    )


def _describe(
    image: Matrix,
    text: Matrix,
    rows: Int[np.ndarray, " n"],
    live: Int[np.ndarray, " k"],
    similarity: Mapping[str, Float[np.ndarray, " f"]],
    modalities: tuple[str, str],
    bins: int,
) -> pd.DataFrame:
    """One row a live feature, one column a property."""
    first, second = (rows_of(each, rows, name) for each, name in zip((image, text), modalities, strict=True))
    found: list[dict[str, Any]] = []
    for feature in live.tolist():
        a, b = column(first, feature), column(second, feature)
        rates = [float((each != 0).mean()) for each in (a, b)]
        spread = {
            f"spread of strongest {many(name)}": 1 - float(similarity[side][feature])
            for side, name in zip(("image", "text"), modalities, strict=True)
            if side in similarity
        }
        found.append(
            {
                "feature": feature,
                INFORMATION: mutual_information(a, b, bins),
                CORRELATION: correlation(a, b),
                **spread,
                RATE: sum(rates) / 2,
                **{f"{RATE} on {many(name)}": rate for name, rate in zip(modalities, rates, strict=True)},
            }
        )
    return pd.DataFrame(found)


def _table(features: pd.DataFrame, classes: Sequence[str], config: PropertiesConfig) -> pd.DataFrame:
    rate = features[RATE].to_numpy()
    strata = {"": np.zeros(len(features), dtype=np.int64), "_rate": strata_of(rate, config.strata)}
    rows = []
    for label in classes:
        inside = (features["class"] == label).to_numpy()
        if not inside.any() or inside.all():
            continue
        drawn = {end: random_members(inside, each, config.draws, config.seed) for end, each in strata.items()}
        for name in features.columns[2:]:
            values = features[name].to_numpy(dtype=np.float64)
            row: dict[str, Any] = {
                "property": name,
                "class": label,
                "features": int((inside & ~np.isnan(values)).sum()),
                "mean": float(mean_of(values, inside[None])[0]),
            }
            for end in _KINDS:
                beside = beside_random(values, inside, drawn[end])
                row |= {
                    key.replace("random", f"random{end}") if "random" in key else f"{key}{end}": value
                    for key, value in asdict(beside).items()
                }
            rows.append(row)
    table = pd.DataFrame(rows)
    if len(table):
        q = corrected(table[[f"p{end}" for end in _KINDS]].to_numpy())
        for place, end in enumerate(_KINDS):
            table.insert(list(table.columns).index(f"p{end}") + 1, f"q{end}", q[:, place])
    return table.sort_values("property", kind="stable", ignore_index=True) if len(table) else table


def _statements(table: pd.DataFrame) -> list[str]:
    """One sentence a property, and what is read with care."""
    said = []
    tests = 0
    for name, rows in table.groupby("property", sort=False) if len(table) else ():
        tests += int(rows[["p", "p_rate"]].notna().to_numpy().sum())
        told = [_of_class(row) for row in rows.to_dict("records")]
        said.append(f"{capitalised(str(name))}: {'; '.join(told)}.")
    if said:
        said.append(
            "Mutual information with the modality follows from the score nearly by definition, and random classes of "
            "equal firing rates hold as many features of each level of firing over both sides, so neither is a finding "
            f"by itself. {CORRECTED.format(tests)}"
        )
    return said


def _of_class(row: Mapping[Any, Any]) -> str:
    parts = []
    for end, kind in _KINDS.items():
        q = row[f"q{end}"]
        if q != q:
            continue
        beside = (
            f"{row[f'random{end}']:.3f} ({row[f'random{end}_low']:.3f} to {row[f'random{end}_high']:.3f})"
        )
        weak = "" if q < LEVEL else f", {power_words('{:.3g}'.format(row[f'detectable{end}']))}"
        parts.append(f"{beside} in random classes of {kind} ({q_words(q)}{weak})")
    return f"{row['class']} {row['mean']:.3f}, beside {' and '.join(parts) or 'no test'}"
