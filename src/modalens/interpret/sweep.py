"""What a sweep over dictionary sizes found, and which size it recommends."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import StoreError
from modalens.store.parquet import read_table, write_table

# What of a table is a measurement; the rest says of what.
MEASURES = (
    "unexplained",
    "unexplained_image",
    "unexplained_text",
    "dead",
    "found",
    "found_weighted",
    "cosine",
    "mono_image",
    "mono_text",
    "image",
    "cross",
    "text",
    "split",
    "private",
    "unclear",
    "split_shuffled",
)
CHANCES = ("cosine_chance", "mono_image_chance", "mono_text_chance")
# The dictionary baseline of every size, and what is measured of it.
BASELINE = "frozen_decoder"
OF_BASELINE = (
    "unexplained",
    "unexplained_image",
    "unexplained_text",
    "dead",
    "mono_image",
    "mono_text",
    "split",
)
BESIDE = tuple(f"{name}_{BASELINE}" for name in OF_BASELINE)
COLUMNS = ("n", "k", "seed", *MEASURES, *CHANCES, *BESIDE)
_KIND = "modalens.Sweep"
_SCHEMA_VERSION = 2
# The papers' number of active features, with as many features as the embeddings are wide.
PUBLISHED_K = 32


@dataclass(frozen=True)
class Choice:
    """The configuration that a sweep recommends, and why, in one sentence."""

    n: int
    k: int
    reason: str

    def __str__(self) -> str:
        return f"n = {self.n}, k = {self.k}: {self.reason}"


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Dictionaries of several sizes and seeds, trained on the same batches.

    Attributes
    ----------
    table
        One row a configuration and seed: ``n`` features, ``k`` of them active, ``seed``. Held-out variance
        ``unexplained`` (0 is perfect, 1 no better than the mean) by modality, and the mean of both; ``dead`` features;
        of the features that fire the share that another seed has ``found`` too, mean over the other seeds, also
        weighted by how often each fires; the ``cosine`` with the nearest feature of another seed; Mono by
        modality, NaN where it was not measured; the classes under the default rule, the first modality's
        ``image`` and the second's ``text``; one-sided features by verdict, and how many are ``split`` with
        pairs shuffled. Columns that end in ``_chance`` say what random directions or samples give, those that end in
        ``_frozen_decoder`` what a dictionary of this size gives whose decoder rows stay random directions (one
        seed).
    least_found
        The share of features that must be found again.
    kind, d
        What was trained, and the width of the embeddings.
    pairs
        Numbers of pairs ``trained``, ``held_out`` and ``measured``.
    threshold
        Least cosine of decoder rows for a feature to count as found again.
    notes
        Sentences: what was left out and why.
    modalities
        Names of the two sides.
    """

    table: pd.DataFrame
    least_found: float
    kind: str
    d: int
    pairs: Mapping[str, int]
    threshold: float
    notes: tuple[str, ...] = field(default=())
    modalities: tuple[str, str] = ("image", "text")

    def __repr__(self) -> str:
        choice = self.choice
        return f"Sweep({len(self.summary)} configurations; recommended: n={choice.n}, k={choice.k})"

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a configuration: every measure as its mean over seeds, and the ``_low``est and ``_high``est seed.

        ``pareto`` says whether no other configuration is found again more and leaves less unexplained.
        """
        groups = self.table.groupby(["n", "k"], sort=True)
        columns = {name: groups[name].mean() for name in (*MEASURES, *CHANCES, *BESIDE)}
        for name in MEASURES:
            columns |= {f"{name}_low": groups[name].min(), f"{name}_high": groups[name].max()}
        frame = pd.DataFrame(columns).reset_index()
        frame["pareto"] = _undominated(frame["found"].to_numpy(), frame["unexplained"].to_numpy())
        return frame

    @property
    def seeds(self) -> int:
        """Seeds of every configuration."""
        return int(self.table["seed"].nunique())

    @cached_property
    def choice(self) -> Choice:
        """The recommended configuration.

        Of those whose features are found again at least to the share ``least_found`` by another seed, the one that
        leaves the least held-out variance unexplained; where there is none, the one found again most.
        """
        steady, row = _recommended(self.summary, self.least_found)
        n, k, bound = int(row["n"]), int(row["k"]), f"{100 * self.least_found:.0f} %"
        found = f"{100 * row['found']:.0f} %"
        seeds = f"{100 * row['found_low']:.0f} to {100 * row['found_high']:.0f} % from seed to seed"
        left = f"{100 * row['unexplained']:.1f} %"
        again = f"{found} of its features are found again by another seed ({seeds})"
        if steady > 1:
            among = f"of the {steady} settings with at least {bound}"
            return Choice(
                n, k, f"{again}; {among}, it leaves the least held-out variance unexplained ({left})."
            )
        if steady:
            rest = f"no other setting reaches {bound}. It leaves {left} of the held-out variance unexplained."
            return Choice(n, k, f"{again}; {rest}")
        why = f"no setting has {bound} of its features found again by another seed; this one comes nearest"
        return Choice(n, k, f"{why} ({found}; {seeds}), with {left} of the held-out variance unexplained.")

    @cached_property
    def sureness(self) -> str:
        """What each seed alone recommends by the same rule, and what no seed can say, in two sentences."""
        rows = [_recommended(each, self.least_found)[1] for _, each in self.table.groupby("seed")]
        sizes = Counter((int(row["n"]), int(row["k"])) for row in rows)
        agree = sizes.pop((self.choice.n, self.choice.k), 0)
        others = ", ".join(f"{n} / {k} ({times})" for (n, k), times in sizes.most_common())
        said = (
            f"{agree} of the {len(rows)} seeds recommend it on their own, the others n / k of {others}"
            if sizes
            else f"Each of the {len(rows)} seeds recommends it on its own"
        )
        return f"{said}. After other steps or batch sizes another size may be recommended."

    def row(self, n: int, k: int) -> Mapping[str, Any] | None:
        """The summary of one configuration; None if it was not trained."""
        found = self.summary[(self.summary["n"] == n) & (self.summary["k"] == k)].to_dict("records")
        return {str(name): value for name, value in found[0].items()} if found else None

    def save(self, path: Path) -> None:
        """Write a .parquet file, from which :meth:`load` gives the same numbers bit for bit."""
        header = {
            "least_found": self.least_found,
            "kind_of_features": self.kind,
            "d": self.d,
            "pairs": dict(self.pairs),
            "threshold": self.threshold,
            "notes": list(self.notes),
            "modalities": list(self.modalities),
        }
        columns = {name: self.table[name].to_numpy() for name in COLUMNS}
        write_table(path, _KIND, _SCHEMA_VERSION, header, columns)

    @classmethod
    def load(cls, path: Path) -> "Sweep":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        header, columns = read_table(path, _KIND, _SCHEMA_VERSION)
        try:
            first, second = header["modalities"]
            return cls(
                # Files of the first version lack the baseline.
                table=pd.DataFrame(
                    {name: columns[name] for name in COLUMNS if name in columns or name not in BESIDE},
                    columns=list(COLUMNS),
                ),
                least_found=float(header["least_found"]),
                kind=str(header["kind_of_features"]),
                d=int(header["d"]),
                pairs={str(name): int(count) for name, count in header["pairs"].items()},
                threshold=float(header["threshold"]),
                notes=tuple(map(str, header["notes"])),
                modalities=(str(first), str(second)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({error!r}); run the sweep again.") from error


def _recommended(frame: pd.DataFrame, least_found: float) -> tuple[int, "pd.Series[Any]"]:
    """How many settings are steady, and the one that is recommended; see :attr:`Sweep.choice`."""
    frame = frame.fillna({"found": 0.0, "unexplained": np.inf})
    steady = frame[frame["found"] >= least_found]
    best = (
        steady.sort_values(["unexplained", "n", "k"])
        if len(steady)
        else frame.sort_values(["found", "n", "k"], ascending=[False, True, True])
    )
    return len(steady), best.iloc[0]


def _undominated(found: np.ndarray, unexplained: np.ndarray) -> np.ndarray:
    """Which points no other is at least as good as in both and better in one: found high, unexplained low."""
    better = (found[None] >= found[:, None]) & (unexplained[None] <= unexplained[:, None])
    strictly = (found[None] > found[:, None]) | (unexplained[None] < unexplained[:, None])
    known = ~np.isnan(found) & ~np.isnan(unexplained)
    undominated: np.ndarray = known & ~(better & strictly & known[None]).any(axis=1)
    return undominated
