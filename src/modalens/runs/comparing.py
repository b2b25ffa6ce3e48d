"""Compare runs on the pairs that they share: models, seeds or dictionaries."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from scipy.stats import t as student

from modalens.arrays import read_rows
from modalens.dominance import Dominance
from modalens.errors import InputError, ModalensError
from modalens.interpret.fidelity import average_of_features
from modalens.interpret.matching import FeatureMatch, match_features
from modalens.options import Options, option
from modalens.report.compared import Comparison, Couple
from modalens.report.naming import METRICS
from modalens.runs.choice import RAW, features_option
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import RunFolder, names_of
from modalens.runs.representations import Representation, find_representations
from modalens.runs.scoring import Scores, score

_ESTIMATOR = "mean_ratio"
# Activations are compared where features are few enough to hold all correlations, on so many pairs.
_MOST_FEATURES, _MOST_PAIRS = 4096, 4096
_MOST_COUPLES = 20
_SEED = re.compile(r"[-_ ]?seed[-_ ]?\d+$")


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


@dataclass(frozen=True, eq=False)
class _Part:
    """A representation of a run on the shared pairs."""

    run: str
    each: Representation
    rows: Int[np.ndarray, " n"]
    scores: Scores
    found: Interpretation | None

    @property
    def label(self) -> str:
        return self.run if self.each.name == RAW else f"{self.run}: {self.each.name}"

    @property
    def mds(self) -> Dominance:
        found = self.scores.dominance[_ESTIMATOR]
        if isinstance(found, str):
            raise ModalensError(found)
        return found

    @property
    def space(self) -> str:
        """What tells the embeddings that features were learned on from others."""
        store = self.each.store if self.each.embeddings is None else self.each.embeddings
        return store.digest

    def model(self, one_model: bool) -> tuple[str, str]:
        """What seeds have in common, and a name for it."""
        learned = self.each.learned
        if learned is None:
            return (RAW if one_model else f"{self.run}/{RAW}"), (RAW if one_model else self.run)
        card = {
            name: value
            for name, value in learned.model.card().items()
            if name not in ("seed", "weights_sha256")
        }
        key = json.dumps(card, sort_keys=True, default=str)
        name = _SEED.sub("", self.each.name) or self.each.name
        return (key, name) if one_model else (f"{self.run}/{key}", f"{self.run}: {name}")


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
    values = pd.DataFrame([row for each in parts for row in _values(each)])
    couples, changed, drawn = _couples(parts, config.threshold, notes)
    keys = {each.label: each.model(config.seeds) for each in parts}
    found = Comparison(
        len(parts[0].rows), values, _over_seeds(values, keys), couples, changed, tuple(notes), drawn
    )
    if out is not None:
        found.save(Path(out), latex)
    return found


def _parts(folders: Sequence[RunFolder], config: CompareConfig, notes: list[str]) -> list[_Part]:
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
    ids = [np.asarray([str(name) for name in each.store.ids[each.rows]], dtype=object) for _, each in every]
    shared = set(ids[0]).intersection(*map(set, ids[1:]))
    if len(shared) < 2:
        raise InputError(
            "The runs share fewer than two pairs by id; give runs of the same pairs, or use modalens models."
        )
    order = [name for name in ids[0] if name in shared]
    if len({each.store.modalities for _, each in every}) > 1:
        raise InputError("The runs are of other modalities than each other; give runs of the same pairs.")
    parts = []
    again = any(len(own) > len(order) for own in ids)
    if again:
        counted = ", ".join(
            sorted({f"{label} {len(own):,}" for (label, _), own in zip(every, ids, strict=True)})
        )
        notes.append(
            f"Scored again on the {len(order):,} shared pairs (of {counted}); Mono and verdicts are of all."
        )
    for (label, each), known in zip(every, ids, strict=True):
        place = {name: row for row, name in enumerate(known)}
        rows = each.rows[[place[name] for name in order]]
        scores = _scored(each, rows) if again else each.scores
        parts.append(_Part(label, each, rows, scores, load_interpretation(each)))
    return parts


def _scored(each: Representation, rows: Int[np.ndarray, " n"]) -> Scores:
    groups, images = each.all_groups(), each.store.image_numbers
    return score(
        each.store.image.pick(rows),
        each.store.text.pick(rows),
        each.scores.config,
        groups=None if groups is None else groups[rows],
        image_ids=None if images is None else images[rows],
        modalities=each.store.modalities,
    )


def _values(part: _Part) -> Iterator[dict[str, Any]]:
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
            yield row(f"Mono on {name}s", mean.mean, mean.low, mean.high, beside)
        counts, shuffled = part.found.bridges.counts(), part.found.bridges.shuffled_counts()
        for verdict in ("split", "private", "unclear"):
            by_chance = sum(of[verdict] for of in shuffled.values())
            yield row(f"verdict {verdict}", sum(of[verdict] for of in counts.values()), baseline=by_chance)


def _over_seeds(values: pd.DataFrame, keys: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
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
                low, high = mean - reach, mean + reach
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


def _couples(
    parts: Sequence[_Part], threshold: float, notes: list[str]
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
        matched = _matched(one, other, threshold)
        if matched is None:
            notes.append(f"{one.label} and {other.label} have no features to match.")
            continue
        how, match = matched
        a, b = one.mds.score[match.first], other.mds.score[match.second]
        live = ~np.isnan(a) & ~np.isnan(b)
        first, second, likeness = match.first[live], match.second[live], match.cosine[live]
        frame = pd.DataFrame(
            {
                "first": one.label,
                "second": other.label,
                "first_feature": first,
                "second_feature": second,
                "likeness": likeness,
                "first_score": a[live],
                "second_score": b[live],
                "first_class": one.mds.labels[first],
                "second_class": other.mds.labels[second],
                "first_verdict": _verdicts(one)[first],
                "second_verdict": _verdicts(other)[second],
            }
        )
        differ = frame["first_class"] != frame["second_class"]
        both = (frame["first_verdict"] != "") & (frame["second_verdict"] != "")
        other_verdict = both & (frame["first_verdict"] != frame["second_verdict"])
        alive = min(int((~np.isnan(each.mds.score)).sum()) for each in (one, other))
        rows.append(
            {
                "first": one.label,
                "second": other.label,
                "how": how,
                "matched": len(frame),
                "of": alive,
                "r": _correlation(a[live], b[live]),
                "random_r": 1.96 / np.sqrt(len(frame)) if len(frame) > 3 else np.nan,
                "same_class": float(1 - differ.mean()) if len(frame) else np.nan,
                "kappa": _kappa(frame["first_class"], frame["second_class"]),
                "verdicts": int(both.sum()),
                "verdicts_changed": int(other_verdict.sum()),
            }
        )
        changed.append(frame[differ | other_verdict])
        if len(frame):
            drawn.append(Couple(one.label, other.label, how, (a[live], b[live])))
    return pd.DataFrame(rows), pd.concat(changed) if changed else pd.DataFrame(), drawn


def _matched(one: _Part, other: _Part, threshold: float) -> tuple[str, FeatureMatch] | None:
    """How features are matched, and which: by dimension, by decoder rows on one space, else by activations."""
    widths = [len(each.mds.score) for each in (one, other)]
    if one.each.name == RAW:
        if widths[0] != widths[1]:
            return None
        same = np.arange(widths[0])
        return "dimension", FeatureMatch(same, same, np.full(widths[0], np.nan))
    rows = [each.each.directions for each in (one, other)]
    if one.space == other.space and rows[0] is not None and rows[1] is not None:
        return "decoder rows", match_features(rows[0], rows[1], threshold)
    if max(widths) > _MOST_FEATURES:
        return None
    some = np.unique(np.linspace(0, len(one.rows) - 1, _MOST_PAIRS).astype(int))
    return "activations", match_features(_activations(one, some), _activations(other, some), threshold)


def _activations(part: _Part, some: Int[np.ndarray, " k"]) -> np.ndarray:
    """Activations on some pairs, without each side's mean, (f, 2k): their cosines are correlations within sides."""
    sides = []
    for matrix in (part.each.store.image, part.each.store.text):
        block = read_rows(matrix.pick(part.rows[some]), 0, len(some), "code")
        dense = np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)
        sides.append(dense - dense.mean(axis=0))
    return np.concatenate(sides).T


def _verdicts(part: _Part) -> np.ndarray:
    if part.found is None:
        return np.full(len(part.mds.score), "", dtype=object)
    return np.asarray(part.found.bridges.verdict, dtype=object)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or not a.std() or not b.std():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _kappa(a: pd.Series, b: pd.Series) -> float:
    """Cohen's kappa; NaN where both have one class only."""
    if not len(a):
        return float("nan")
    by_chance = float(sum((a == name).mean() * (b == name).mean() for name in set(a) | set(b)))
    same = float((a.to_numpy() == b.to_numpy()).mean())
    return (same - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
