"""How results look on a terminal, and as JSON for machines."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from modalens.dominance import RULES
from modalens.errors import InputError, one_line
from modalens.pairs.modality import many
from modalens.runs.joined import JoinedScores
from modalens.runs.scoring import Scores

_WIDER_THAN_ANY = 100_000
_GAP_NAMES = {
    "l2m_unbiased": "L2M",
    "l2m": "L2M, as published",
    "l2i": "L2I",
    "rmg": "RMG",
    "separability": "Separability",
}


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object in ASCII, which every terminal and pipe takes; NaN becomes null."""
    print(json.dumps(_plain(values), indent=2, allow_nan=False))


def headed(head: object, rest: str) -> Text:
    """A line with a head in bold; nothing in it is markup."""
    return Text.assemble((one_line(head), "bold"), one_line(rest))


def print_sentences(sentences: Iterable[str], mark: str = "") -> None:
    """Print sentences, each on lines of its own; nothing in them is markup."""
    console = Console()
    for sentence in sentences:
        console.print(Text(mark + one_line(sentence)))


def summarise(scores: Scores, estimator: str) -> dict[str, Any]:
    """The numbers of one scoring that people ask for first.

    Raises
    ------
    ModalensError
        If the estimator is not defined on what was scored.
    """
    dominance = scores.dominance[estimator]
    if isinstance(dominance, str):
        raise InputError(dominance)
    null = dominance.null
    live = bool(np.isfinite(dominance.score).any())
    return {
        "pairs": dominance.n_pairs,
        "groups": dominance.groups,
        "effective_groups": dominance.effective_groups,
        "features": len(dominance.score),
        "estimator": dominance.estimator,
        "rule": dominance.rule,
        "mean": dominance.mean,
        "std": dominance.std,
        "min": float(np.nanmin(dominance.score)) if live else None,
        "max": float(np.nanmax(dominance.score)) if live else None,
        "std_label_swap": None if null is None else float(null.stds.mean()),
        "counts": dominance.counts(),
        "count_intervals": dominance.count_intervals(),
        "cross_in_the_tails": dominance.tails(),
        "other_rules": {
            rule: {"counts": dominance.counts(rule), "count_intervals": dominance.count_intervals(rule)}
            for rule in RULES
            if rule != dominance.rule
        },
        "gap": {
            name: {
                "value": getattr(scores.gap, name),
                "interval": scores.gap.intervals[name],
                "label_swap": scores.gap.null.get(name),
            }
            for name in _GAP_NAMES
        },
        "modalities": list(dominance.modalities),
        "retrieval": scores.retrieval.to_dict(),
        "seed": dominance.seed,
        "resamples": dominance.resamples,
    }


def print_scores(summary: Mapping[str, Any], title: str) -> None:
    """Print a summary as tables."""
    from modalens.report.naming import small, tied

    console = Console()
    said = f": {summary['pairs']} pairs{_grouped(summary)}, {summary['features']} features"
    console.print(headed(title, said))
    spread = summary["std_label_swap"]
    beside = "" if spread is None else f" (labels swapped at random: {spread:.4f})"
    if summary["min"] is not None:
        console.print(
            f"R by {summary['estimator']}: mean {summary['mean']:.4f}, std {summary['std']:.4f}{beside}, "
            f"from {summary['min']:.4f} to {summary['max']:.4f}"
        )
    else:
        console.print(f"R by {summary['estimator']} is undefined: every feature is 0 in every pair.")
    others = summary["other_rules"]
    beside_rules = [column for rule in others for column in (f"by {rule}", "95 % interval")]
    title = f"Classes by {summary['rule']}, beside {' and '.join(others)}"
    classes = Table("class", "features", "95 % interval", *beside_rules, title=title)
    for label in summary["counts"]:
        cells = []
        for found in (summary, *others.values()):
            cells += [str(found["counts"][label]), _interval(found["count_intervals"].get(label), 0)]
        classes.add_row(Text(one_line(label)), *cells)
    console.print(classes)
    console.print("Noise moves features across the bounds: counts of few pairs are biased.")
    stranded = sum(summary["cross_in_the_tails"].values())
    if stranded:
        console.print(
            f"{stranded} features with R under 0.1 or over 0.9 are called cross by {summary['rule']}; "
            "compare --rule twofold."
        )
    gap = Table("gap", "value", "95 % interval", "labels swapped at random")
    for name, entry in summary["gap"].items():
        null = entry["label_swap"]
        gap.add_row(
            _GAP_NAMES[name],
            _defined(entry["value"]),
            _interval(entry["interval"], 4),
            "" if null is None or math.isnan(null[0]) else f"{null[0]:.4f} ({null[1]:.4f} to {null[2]:.4f})",
        )
    console.print(gap)
    if math.isnan(summary["gap"]["rmg"]["value"]):
        console.print("RMG is undefined: all embeddings are one, and none lies apart from another.")
    found, (first, second) = summary["retrieval"], summary["modalities"]
    recall = Table(
        "retrieval",
        *(f"R@{k}" for k in found["chance"]),
        title=f"Among {found['n']} {many(first)} and {found['texts']} {many(second)}",
    )
    for name, label in (("image_to_text", f"{first} to {second}"), ("text_to_image", f"{second} to {first}")):
        recalls = (f"{value:.1%}\n{low:.1%} to {high:.1%}" for value, low, high in found[name].values())
        recall.add_row(label, *recalls)
    recall.add_row("chance", *(f"{small(100 * value, 1)}%" for value in found["chance"].values()))
    console.print(recall)
    if found["ties"]:
        console.print(tied(found["ties"]))


def summarise_joined(scores: JoinedScores) -> dict[str, Any]:
    """The numbers of one scoring of more than two modalities that people ask for first."""
    found = scores.dominance
    null = found.null
    return {
        "samples": found.n_samples,
        "groups": found.groups,
        "features": len(found.shares),
        "estimator": found.estimator,
        "rule": found.rule,
        "modalities": list(found.modalities),
        "missing": scores.missing,
        "counts": found.counts(),
        "count_intervals": found.count_intervals(),
        "label_turn": None if null is None else dict(null.class_counts[found.rule]),
        "spread": found.spread,
        "spread_label_turn": None if null is None else float(null.spreads.mean()),
        "gaps": scores.gaps.to_frame().to_dict("records"),
    }


def print_joined(summary: Mapping[str, Any], title: str) -> None:
    """Print a summary of more than two modalities as tables."""
    console = Console()
    console.print(headed(title, f": {summary['samples']} samples, {summary['features']} features"))
    missing = ", ".join(f"{name} {number}" for name, number in summary["missing"].items())
    print_sentences([f"Ids left out since another store lacks them: {missing}"])
    turned = summary["label_turn"]
    classes = Table(
        "carried by",
        "features",
        "95 % interval",
        "labels turned at random",
        title=f"By {summary['estimator']} and {summary['rule']}",
    )
    for label, number in summary["counts"].items():
        beside = "" if turned is None else f"{turned[label]:.1f}"
        classes.add_row(
            Text(one_line(label)), str(number), _interval(summary["count_intervals"][label], 0), beside
        )
    console.print(classes)
    gaps = pd.DataFrame(summary["gaps"])
    l2m = gaps[gaps["measure"] == "l2m_unbiased"].drop(columns="measure")
    print_frame(l2m, "L2M of each two modalities")


def print_frame(frame: pd.DataFrame, title: str, keys: int = 1) -> None:
    """Print a data frame as a table; columns that do not fit beside the others follow in a table below.

    Parameters
    ----------
    frame, title
        What is printed, and over it.
    keys
        The first so many columns stand in every table.
    """
    console = Console()
    wide = console.options.update(max_width=_WIDER_THAN_ANY)  # or what is measured is cut to the terminal
    first, parts = list(frame.columns[:keys]), [list(frame.columns[:keys])]
    for name in frame.columns[keys:]:
        wider = frame_table(frame[[*parts[-1], name]], title)
        if console.measure(wider, options=wide).minimum <= console.width or len(parts[-1]) == keys:
            parts[-1].append(name)
        else:
            parts.append([*first, name])
    for part in parts:
        console.print(frame_table(frame[part], title))


def frame_table(frame: pd.DataFrame, title: str) -> Table:
    """A data frame as a table, numbers with three decimals, a dash for none; nothing in it is markup."""
    heads = (Column(Text(one_line(name)), overflow="fold") for name in frame.columns)
    table = Table(*heads, title=Text(one_line(title)))
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_said(value)) for value in row))
    return table


def _said(value: object) -> str:
    if isinstance(value, float):
        return "—" if math.isnan(value) else f"{value:.3f}"
    return one_line(value)


def _grouped(summary: Mapping[str, Any]) -> str:
    """How many groups the pairs fall into, where they do."""
    if summary["groups"] == summary["pairs"]:
        return ""
    return f" in {summary['groups']} groups (as good as {summary['effective_groups']:.0f} of equal size)"


def _defined(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _interval(bounds: Any, digits: int) -> str:
    if bounds is None or any(math.isnan(bound) for bound in bounds):
        return ""
    return f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
