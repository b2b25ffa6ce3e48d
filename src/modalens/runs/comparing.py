"""Compare runs on the pairs that they share: models, seeds or dictionaries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from modalens.errors import InputError
from modalens.interpret.fidelity import average_of_features
from modalens.options import Options, option
from modalens.pairs.modality import many
from modalens.report.compared import Comparison, Couple
from modalens.report.naming import METRICS
from modalens.runs.choice import RAW, features_option
from modalens.runs.layout import RunFolder, names_of
from modalens.runs.matched_features import changed_of, couple_row, matched, matched_table
from modalens.runs.representations import Representation, find_representations
from modalens.runs.shared_pairs import Part, parts_of

_MOST_COUPLES = 20


@dataclass(frozen=True)
class CompareConfig(Options):
    """What is compared.

    Attributes
    ----------
    features
        One representation of every run.
    seeds
        Whether the runs are seeds of one model, to be averaged.
    threshold
        Least likeness of matched features.
    """

    features: str | None = features_option("raw and all learned sets")
    seeds: bool = option(False, "The runs are seeds of one model: average over them.")
    threshold: float = option(
        0.7,
        "Least cosine of decoder rows, or correlation of activations, of matched features.",
        over=0,
        most=1,
    )


def compare(
    *runs: Any,
    config: CompareConfig | None = None,
    out: str | Path | None = None,
    latex: bool = False,
    **options: Any,
) -> Comparison:
    """Compare models, seeds or dictionaries on the pairs that all runs share.

    Pairs are the same where their ids are. Where the scored pairs of all runs are the same, kept scores are used; else
    embeddings and codes are scored again on the shared pairs. Mono and verdicts are those of each run's own
    interpretation.

    Parameters
    ----------
    runs
        Runs or their folders. One run compares its own sets of features.
    config, options
        A :class:`CompareConfig`, and fields of it by name.
    out
        Folder to write the page and the tables to; nothing is written without one.
    latex
        Whether a LaTeX table is written too.

    Raises
    ------
    ModalensError
        If a run is missing or cannot be scored, the runs share fewer than two pairs, or there is nothing to compare.
    """
    config = CompareConfig.of(config, options, "A comparison")
    folders = [each.layout if hasattr(each, "layout") else RunFolder.find(each) for each in runs]
    if not folders:
        raise InputError("Name at least one run to compare.")
    notes: list[str] = []
    parts = _parts(folders, config, notes)
    if len(parts) < 2:
        raise InputError("There is one model only; give another run, or learn features on this one.")
    values = pd.DataFrame([row for each in parts for row in metrics_of(each)])
    couples, changed, drawn = _couples(parts, config.threshold, notes)
    keys = {each.label: each.model(config.seeds) for each in parts}
    found = Comparison(
        len(parts[0].rows), values, over_seeds(values, keys), couples, changed, tuple(notes), drawn
    )
    if out is not None:
        found.save(Path(out), latex)
    return found


def _parts(folders: Sequence[RunFolder], config: CompareConfig, notes: list[str]) -> list[Part]:
    labels = names_of(folders)
    every: list[tuple[str, Representation]] = []
    for label, folder in zip(labels, folders, strict=True):
        found = find_representations(folder)
        notes += [f"{label}: {name} is left out. {why}" for name, why in found.left_out]
        own = [each for each in found.representations if not each.baseline_of]
        if config.features is not None:
            own = [each for each in own if each.name == config.features]
        if not own:
            raise InputError(f"The run {label} has no features {config.features!r}.")
        if found.representations[0].store.own_ids is None:
            notes.append(f"The pairs of {label} have no ids of their own and are known by row number.")
        every += [(label, each) for each in own]
    return parts_of(every, notes)


def metrics_of(part: Part) -> Iterator[dict[str, Any]]:
    """One row a metric."""
    start = {"run": part.run, "features": part.each.name, "label": part.label}

    def row(
        metric: str, value: float, low: float = np.nan, high: float = np.nan, baseline: float = np.nan
    ) -> Any:
        return {**start, "metric": metric, "value": value, "low": low, "high": high, "baseline": baseline}

    gap, mds, retrieval = part.scores.gap, part.mds, part.scores.retrieval
    for name, words in METRICS.items():
        null = gap.null.get(name, (np.nan,))[0]
        yield row(words, getattr(gap, name), *gap.intervals.get(name, (np.nan, np.nan)), null)
    first, second = mds.modalities
    for words, of in (
        (f"R@1 {first} to {second}", retrieval.image_to_text),
        (f"R@1 {second} to {first}", retrieval.text_to_image),
    ):
        yield row(words, *of[1], retrieval.chance[1])
    spread = np.nan if mds.null is None else float(mds.null.stds.mean())
    yield row("mean of R", mds.mean)
    yield row("spread of R", mds.std, baseline=spread)
    ranges = mds.count_intervals()
    for name, count in mds.counts().items():
        null = np.nan if mds.null is None else mds.null.class_counts[mds.rule].get(name, np.nan)
        yield row(f"{name} features ({mds.rule})", count, *ranges[name], null)
    if part.found is not None:
        for side, name in (("image", first), ("text", second)):
            mono = part.found.mono[side]
            mean = average_of_features(mono, "mono", mono.scored)
            chance = mono.chance["mono"][mono.scored]
            beside = float(np.nanmean(chance)) if len(chance) else np.nan
            yield row(f"Mono on {many(name)}", mean.mean, mean.low, mean.high, beside)
        counts, shuffled = part.found.bridges.counts(), part.found.bridges.shuffled_counts()
        for verdict in ("split", "private", "unclear"):
            by_chance = sum(of[verdict] for of in shuffled.values())
            yield row(f"verdict {verdict}", sum(of[verdict] for of in counts.values()), baseline=by_chance)


def over_seeds(values: pd.DataFrame, keys: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Mean over what differs in the seed alone."""
    rows = []
    members = pd.Series({label: key for label, (key, _) in keys.items()})
    for key in dict.fromkeys(members):
        labels = list(members.index[members == key])
        name = keys[labels[0]][1] if len(labels) > 1 else labels[0]
        name = f"{name} ({len(labels)} seeds)" if len(labels) > 1 else name
        own = values[values["label"].isin(labels)]
        for metric in dict.fromkeys(own["metric"]):
            of = own[own["metric"] == metric]
            n, mean = len(of), float(of["value"].mean())
            low, high = float(of["low"].iloc[0]), float(of["high"].iloc[0])
            if n > 1:
                reach = float(student.ppf(0.975, n - 1) * of["value"].std(ddof=1) / np.sqrt(n))
                least, most = _range(metric)
                low, high = max(mean - reach, least), min(mean + reach, most)
            rows.append(
                {
                    "model": name,
                    "metric": metric,
                    "seeds": n,
                    "value": mean,
                    "low": low,
                    "high": high,
                    "baseline": float(of["baseline"].mean()),
                }
            )
    return pd.DataFrame(rows)


def _range(metric: str) -> tuple[float, float]:
    """Between what a metric lies, whatever the seeds."""
    if metric.startswith("Mono"):
        return -np.inf, np.inf
    return 0.0, 1.0 if metric.startswith(("R@1", "mean of R", METRICS["separability"])) else np.inf


def _couples(
    parts: Sequence[Part], threshold: float, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[Couple]]:
    alike = [
        (one, other)
        for one, other in combinations(parts, 2)
        if (one.each.name == RAW) == (other.each.name == RAW)
    ]
    if len(alike) > _MOST_COUPLES:
        notes.append(f"Of {len(alike)} couples the first {_MOST_COUPLES} are compared feature by feature.")
    rows, changed, drawn = [], [], []
    for one, other in alike[:_MOST_COUPLES]:
        found = matched(one, other, threshold)
        if found is None:
            notes.append(f"{one.label} and {other.label} have no features to match.")
            continue
        how, match = found
        table = matched_table(one, other, match)
        rows.append(couple_row(one, other, how, table))
        changed.append(changed_of(table))
        if len(table):
            scores = table["first_score"].to_numpy(), table["second_score"].to_numpy()
            drawn.append(Couple(one.label, other.label, how, scores))
    return pd.DataFrame(rows), pd.concat(changed) if changed else pd.DataFrame(), drawn
