"""Does a finding hang on m, the number of strongest samples that are compared?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from modalens.arrays import Matrix
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.interpret import monosemanticity, top_samples
from modalens.progress import progress_bar
from modalens.studies.options import settings_of
from modalens.studies.result import StudyResult
from modalens.studies.top_sample_count.config import PUBLISHED_M, TopMConfig
from modalens.studies.top_sample_count.curves import FIDELITY, MEAN, Point, points, verdict
from modalens.studies.top_sample_count.sentences import statements

METRICS = ("embsim", "winrate", "mono")
# A quantity of one representation: modality, metric, and the mean or the fidelity.
Quantity = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Scored:
    """Features of the distinct samples of each side, and their scores.

    Attributes
    ----------
    image, text
        Features of the distinct images (u, f) and of the distinct texts (v, f).
    mds
        Dominance scores of the features.
    baseline_of
        Name of the features that it is a dictionary baseline of; empty for others.
    """

    image: Matrix
    text: Matrix
    mds: Dominance
    baseline_of: str = ""


def top_m(
    representations: Mapping[str, Scored],
    sample_embeddings: tuple[Matrix, Matrix],
    *,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    source: Mapping[str, Any] | None = None,
    config: TopMConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Score monosemanticity and fidelity over m, for representations of the same samples.

    Parameters
    ----------
    representations
        Features by name, at least one.
    sample_embeddings
        The distinct images (u, h) and texts (v, g), embedded by models that are not under study.
    groups
        One label for each image and for each text; samples of one group count once.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`TopMConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``by_m``, one row a representation (``features``), modality, metric, ``quantity`` (``mean`` over
        live features, or ``fidelity``) and ``m``: ``value`` with its 95 % jackknife interval over samples, the
        same of random samples (``chance``), and the share of features that have m samples (``full``; others use
        fewer, so where it falls the curve flattens). Table ``ranking``: the order of representations by their
        mean at each m, without dictionary baselines. Table ``comparisons``: every fidelity and, for every two
        representations, and for features and each of their dictionary ``baseline``s, the difference of their
        means, at m = 20 with interval, and least and most over m, with the ``verdict`` of
        :func:`modalens.studies.top_sample_count.curves.verdict`.

    Raises
    ------
    ModalensError
        If there is no representation, sizes do not match, or an option is unknown or out of range.

    Notes
    -----
    EmbSim and WinRate: Multi-Faceted Monosemanticity, Eqs. 5 and 6; their m is 20.
    """
    config = TopMConfig.of(config, options, "top_m")
    if not representations:
        raise ModalensError("There is no representation to score; give at least one.")
    sides = next(iter(representations.values())).mds.modalities
    found: dict[str, dict[tuple[Quantity, int], Point]] = {name: {} for name in representations}
    with progress_bar("Scoring over m", 2 * len(representations) * len(config.numbers)) as advance:
        for name, each in representations.items():
            for place, modality in enumerate(sides):
                of_samples = None if groups is None else groups[place]
                codes = (each.image, each.text)[place]
                found[name] |= _over_m(
                    codes, sample_embeddings[place], each.mds, modality, of_samples, config, advance
                )
    baselines = {name: each.baseline_of for name, each in representations.items()}
    tables = {
        "by_m": _by_m(found),
        "ranking": _ranking(
            {name: each for name, each in found.items() if not baselines[name]}, sides, config.numbers
        ),
        "comparisons": _comparisons(found, baselines, sides, config.numbers),
    }
    return StudyResult(
        name="top-m",
        title="Does the number of strongest samples matter?",
        tables=tables,
        statements=statements(tables, sides),
        config={
            **settings_of(config, TopMConfig),
            "m": config.numbers,
            "modalities": list(sides),
            "representations": list(representations),
        },
        source=dict(source or {}),
    )


def _over_m(
    codes: Matrix,
    embeddings: Matrix,
    mds: Dominance,
    modality: str,
    groups: np.ndarray | None,
    config: TopMConfig,
    advance: Any,
) -> dict[tuple[Quantity, int], Point]:
    """Every quantity of one representation and modality at every m; its samples are ranked once."""
    mds = mds.with_rule(config.rule)
    second, _, first, dead = mds.classes
    labels = mds.labels
    own, other = (labels == modality), (labels == (second if modality == first else first))
    groups = np.arange(int(codes.shape[0])) if groups is None else groups
    top = top_samples(codes, max(config.numbers), config.by, groups=groups)
    found = {}
    for m in config.numbers:
        scores = monosemanticity(
            codes, embeddings, m, config.seed, draws=config.draws, by=config.by, groups=groups, top=top
        )
        for metric in METRICS:
            for quantity, point in points(scores, own, other, labels != dead, metric).items():
                found[(modality, metric, quantity), m] = point
        advance(1)
    return found


def _by_m(found: Mapping[str, Mapping[tuple[Quantity, int], Point]]) -> pd.DataFrame:
    rows = []
    for name, quantities in found.items():
        for ((modality, metric, quantity), m), point in quantities.items():
            low, high = point.average.interval()
            row = {
                "features": name,
                "modality": modality,
                "metric": metric,
                "quantity": quantity,
                "m": m,
                "value": point.average.value,
                "value_low": low,
                "value_high": high,
                "chance": point.chance,
                "full": point.full,
            }
            rows.append(row)
    return pd.DataFrame(rows).sort_values(
        ["features", "modality", "metric", "quantity", "m"], kind="stable", ignore_index=True
    )


def _ranking(
    found: Mapping[str, Mapping[tuple[Quantity, int], Point]], sides: Sequence[str], numbers: Sequence[int]
) -> pd.DataFrame:
    """The order of representations by their mean, highest first, and whether it is that at the published m."""
    rows = []
    for modality in sides:
        for metric in METRICS:
            orders = {}
            for m in numbers:
                value = {
                    name: each[(modality, metric, MEAN), m].average.value for name, each in found.items()
                }
                known = sorted((-each, place) for place, each in enumerate(value.values()) if each == each)
                orders[m] = " > ".join(list(value)[place] for _, place in known)
            rows += [
                {
                    "modality": modality,
                    "metric": metric,
                    "m": m,
                    "order": order,
                    "same": order == orders[PUBLISHED_M],
                }
                for m, order in orders.items()
            ]
    return pd.DataFrame(rows) if len(found) > 1 else pd.DataFrame()


def _comparisons(
    found: Mapping[str, Mapping[tuple[Quantity, int], Point]],
    baselines: Mapping[str, str],
    sides: Sequence[str],
    numbers: Sequence[int],
) -> pd.DataFrame:
    """Every fidelity, and differences of means: of two that are no baselines, and of features and their baselines."""
    couples = [
        (one, other)
        for one, other in combinations(found, 2)
        if baselines[one] == baselines[other] == "" or one == baselines[other]
    ]
    rows = []
    for modality in sides:
        for metric in METRICS:
            curves = {
                (f"fidelity of {name}", name if baselines[name] else ""): [
                    each[(modality, metric, FIDELITY), m].average for m in numbers
                ]
                for name, each in found.items()
            }
            for one, other in couples:
                curves[f"{one} over {other}", other if baselines[other] else ""] = [
                    found[one][(modality, metric, MEAN), m].average
                    - found[other][(modality, metric, MEAN), m].average
                    for m in numbers
                ]
            for (what, baseline), averages in curves.items():
                intervals = [each.interval() for each in averages]
                values = [each.value for each in averages]
                at = numbers.index(PUBLISHED_M)
                rows.append(
                    {
                        "comparison": what,
                        "baseline": baseline,
                        "modality": modality,
                        "metric": metric,
                        "value": values[at],
                        "value_low": intervals[at][0],
                        "value_high": intervals[at][1],
                        "least": min(values),
                        "most": max(values),
                        "verdict": verdict(intervals),
                    }
                )
    return pd.DataFrame(rows)
