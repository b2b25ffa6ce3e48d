"""The table of the planted benchmark: means over seeds with intervals, as JSON and as a page of Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from modalens.dominance import ESTIMATORS, RULES
from modalens.errors import ModalensError
from modalens.options import DEFAULT_ESTIMATOR, DEFAULT_RULE, Options
from modalens.statistics.intervals import Estimate, jackknife_interval
from modalens.store.atomic import write_text
from modalens.store.documents import null_to_nan, read_document, write_document
from modalens.version import __version__

_KIND = "modalens planted leaderboard"
_SCHEMA_VERSION = 1
DEFAULT_ATTRIBUTION = f"attribution {DEFAULT_ESTIMATOR} {DEFAULT_RULE}"
# Columns of the leaderboard: what each measure is called, and whether more is better.
COLUMNS: dict[str, tuple[str, bool]] = {
    "recovery": ("recovered", True),
    "cosine": ("cosine", True),
    "unexplained": ("unexplained", False),
    DEFAULT_ATTRIBUTION: ("attribution", True),
    "split_found": ("split found", True),
    "split_healed": ("split healed", True),
    "false_split": ("false split", False),
    "private_found": ("private found", True),
    "false_private": ("false private", False),
}


@dataclass(frozen=True)
class Row:
    """What one learner came to on one space with one seed."""

    world: str
    learner: str
    seed: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Leaderboard:
    """Every learner on every planted space.

    Attributes
    ----------
    config
        What was run.
    worlds, learners
        Names of the spaces, and of the learners with the two baselines last.
    rows
        One for each space, learner and seed.
    version
        The modalens that made it.
    """

    config: Options | Mapping[str, Any]
    worlds: tuple[str, ...]
    learners: tuple[str, ...]
    rows: tuple[Row, ...]
    version: str = __version__

    def values(self, measure: str, world: str, learner: str) -> np.ndarray:
        """A measure by seed, (s,), where it is defined."""
        found = [
            row.measures.get(measure, np.nan)
            for row in self.rows
            if (row.world, row.learner) == (world, learner)
        ]
        values = np.array(found, dtype=np.float64)
        return values[~np.isnan(values)]

    def estimate(self, measure: str, world: str, learner: str) -> Estimate:
        """Mean of a measure over seeds with its 95 % interval; NaN where it is not defined, or for one seed."""
        most = np.inf if measure == "unexplained" else 1.0
        return mean_over_seeds(self.values(measure, world, learner), most)

    def attribution(self, estimator: str, rule: str, world: str) -> Estimate:
        """Accuracy of a score and rule, mean over the learners (without baselines) and then over seeds."""
        by_seed: dict[int, list[float]] = {}
        for row in self.rows:
            if row.world == world and row.learner in self.learners[:-2]:
                value = row.measures.get(f"attribution {estimator} {rule}", np.nan)
                by_seed.setdefault(row.seed, []).append(value)
        means = np.array([np.nanmean(each) for each in by_seed.values() if not np.isnan(each).all()])
        return mean_over_seeds(means)

    def save(self, path: Path) -> None:
        """Write everything to a .json file, from which :meth:`load` gives the same numbers bit for bit."""
        write_document(path, _KIND, _SCHEMA_VERSION, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "config": asdict(self.config) if isinstance(self.config, Options) else dict(self.config),
            "worlds": list(self.worlds),
            "learners": list(self.learners),
            "rows": [asdict(row) for row in self.rows],
            "modalens": self.version,
        }

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        values = read_document(path, _KIND, _SCHEMA_VERSION)
        try:
            rows = [
                Row(
                    row["world"],
                    row["learner"],
                    row["seed"],
                    {name: null_to_nan(value) for name, value in row["measures"].items()},
                )
                for row in values["rows"]
            ]
            return cls(
                values["config"],
                tuple(values["worlds"]),
                tuple(values["learners"]),
                tuple(rows),
                values["modalens"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ModalensError(f"{path} is damaged ({error!r}); run the benchmark again.") from error

    def to_markdown(self) -> str:
        """The tables: learners on each space, then scores and class rules."""
        parts = [self._world_table(world) for world in self.worlds]
        return "\n\n".join([*parts, self._score_table(), self.advice()]) + "\n"

    def write_markdown(self, path: Path) -> None:
        """Write :meth:`to_markdown` into a file."""
        write_text(path, self.to_markdown())

    def advice(self) -> str:
        """What to use when, as far as the tables say it: a learner leads where its interval lies over all others'."""
        sentences = []
        for measure in ("recovery", "split_found", "split_healed"):
            leads = {world: self._leaders(measure, world) for world in self.worlds}
            told = [f"{world}: {', '.join(names)}" for world, names in leads.items() if names]
            if told:
                sentences.append(
                    f"- Highest share {COLUMNS[measure][0]}, or not told apart from it: {'; '.join(told)}."
                )
        best = {world: self._best_scores(world) for world in self.worlds}
        told = [f"{world}: {', '.join(names)}" for world, names in best.items() if names]
        if told:
            sentences.append(
                f"- Highest accuracy of attribution, or not told apart from it: {'; '.join(told)}."
            )
        return "\n".join(sentences)

    def _leaders(self, measure: str, world: str) -> list[str]:
        found = {each: self.estimate(measure, world, each) for each in self.learners[:-2]}
        return _not_below_the_best(found)

    def _best_scores(self, world: str) -> list[str]:
        found = {
            f"{estimator} by {rule}": self.attribution(estimator, rule, world)
            for estimator, rule in _scores()
        }
        return _not_below_the_best(found)

    def _world_table(self, world: str) -> str:
        head = ["learner", *(name for name, _ in COLUMNS.values())]
        lines = [
            [learner, *(_cell(self.estimate(measure, world, learner)) for measure in COLUMNS)]
            for learner in self.learners
        ]
        return f"### {world[:1].upper()}{world[1:]}\n\n" + _table(head, lines)

    def _score_table(self) -> str:
        lines = [
            [
                f"`{estimator}`",
                f"`{rule}`",
                *(_cell(self.attribution(estimator, rule, world)) for world in self.worlds),
            ]
            for estimator, rule in _scores()
        ]
        return "### Scores and class rules\n\n" + _table(["score", "rule", *self.worlds], lines)


def mean_over_seeds(values: np.ndarray, most: float = 1.0) -> Estimate:
    """Mean with Student's 95 % interval within [0, most]; NaN for what is not known."""
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, np.nan, np.nan)
    left_out = (values.sum() - values) / (len(values) - 1)
    low, high = jackknife_interval(mean, left_out)
    return Estimate(mean, float(np.clip(low, 0, most)), float(np.clip(high, 0, most)))


def _scores() -> list[tuple[str, str]]:
    names = [name for name, each in ESTIMATORS.items() if each.same_as is None]
    return [(estimator, rule) for estimator in names for rule in RULES]


def _not_below_the_best(found: Mapping[str, Estimate]) -> list[str]:
    """Names whose interval is not wholly under that of the highest mean; none where intervals are not known."""
    known = {name: each for name, each in found.items() if not np.isnan(each.low)}
    if not known:
        return []
    best = max(known.values(), key=lambda each: each.value)
    return [name for name, each in known.items() if each.high >= best.low]


def _cell(found: Estimate) -> str:
    if np.isnan(found.value):
        return "–"
    if np.isnan(found.low):
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
