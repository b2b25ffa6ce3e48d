"""What :func:`monosemanticity` hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from modalens.errors import ModalensError
from modalens.store.parquet import read_table, write_table

METRICS = ("embsim", "winrate", "mono", "embsim_elementwise")
_KIND = "modalens.Monosemanticity"
_SCHEMA_VERSION = 2
_EVIDENCE = ("similarity", "samples", "small_denominators")
_SETTINGS = ("baseline", "m", "by", "draws", "seed", "n_samples", "n_groups", "source", "version")


@dataclass(frozen=True, eq=False, repr=False)
class Monosemanticity:
    """Monosemanticity of every feature in one modality; higher is more monosemantic, NaN is no score.

    Attributes
    ----------
    embsim
        How much more alike the strongest samples are than random ones, as a share of the random likeness, in
        (-inf, inf), (f,).
    winrate
        Share of pairs of strongest samples that are more alike than a pair of random ones, in [0, 1], (f,).
    mono
        (embsim + winrate) / 2, (f,).
    embsim_elementwise
        EmbSim as published, the mean of ratios pair by pair, (f,). A random cosine near 0 makes it explode;
        pairs whose random cosine is exactly 0 are left out.
    intervals
        For each metric the 95 % interval of the mean over draws (Student's t), (f, 2); NaN for a single draw.
        It covers the luck of the random samples and nothing else: not which samples were at hand. It has no width
        for embsim, for which nothing is drawn, nor where few samples fire and the draws agree, so look at
        ``samples`` too.
    chance
        For each metric what a random set of as many samples scores in the place of the strongest ones, (f,):
        on average near 0 for embsim and 0.5 for winrate, but above 0 for embsim_elementwise. Its spread over
        features is what a score has to exceed.
    left_out
        For each metric the scores without the samples of each of b random blocks of groups, (f, b).
    left_out_two
        The same without two blocks, 0 and 1, 2 and 3 and so on, (f, b // 2). Averages over features have their
        intervals from both.
    similarity
        Mean cosine between the strongest samples, (f,).
    samples
        Strongest samples used, at most m, (f,); under 2 there is no score.
    small_denominators
        How many of the samples * (samples - 1) * draws divisions behind ``embsim_elementwise`` were by a
        cosine under 0.001 in size, (f,).
    baseline
        Mean cosine between two random samples of different groups, exactly.
    m, by, draws, seed, n_samples, n_groups
        How it was made.
    source
        What the scores were measured on; free, kept in the file.
    version
        The modalens that made it.
    """

    embsim: Float[np.ndarray, " f"]
    winrate: Float[np.ndarray, " f"]
    mono: Float[np.ndarray, " f"]
    embsim_elementwise: Float[np.ndarray, " f"]
    intervals: Mapping[str, Float[np.ndarray, "f 2"]] = field(repr=False)
    chance: Mapping[str, Float[np.ndarray, " f"]] = field(repr=False)
    left_out: Mapping[str, Float[np.ndarray, "f b"]] = field(repr=False)
    left_out_two: Mapping[str, Float[np.ndarray, "f b2"]] = field(repr=False)
    similarity: Float[np.ndarray, " f"]
    samples: Int64[np.ndarray, " f"]
    small_denominators: Int64[np.ndarray, " f"]
    baseline: float
    m: int
    by: str
    draws: int
    seed: int
    n_samples: int
    n_groups: int
    source: Mapping[str, Any]
    version: str

    def __repr__(self) -> str:
        means = ", ".join(
            f"{name}={getattr(self, name)[self.scored].mean():.3f}" if self.scored.any() else f"{name}=nan"
            for name in METRICS
        )
        return f"Monosemanticity({int(self.scored.sum())} of {len(self.mono)} features scored: {means}; m={self.m})"

    @property
    def scored(self) -> Bool[np.ndarray, " f"]:
        """Which features have a score."""
        scored: np.ndarray = ~np.isnan(self.winrate)
        return scored

    @property
    def mono_elementwise(self) -> Float[np.ndarray, " f"]:
        """(embsim_elementwise + winrate) / 2, as in the papers' figures."""
        mono: np.ndarray = (self.embsim_elementwise + self.winrate) / 2
        return mono

    def to_frame(self) -> pd.DataFrame:
        """One row per feature: every metric with its interval, and what it rests on."""
        return pd.DataFrame({"feature": np.arange(len(self.mono)), **self._columns()})

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .parquet file, from which :meth:`load` gives the same numbers bit for bit.

        Raises
        ------
        ModalensError
            If the file is not to be a .parquet file.
        """
        header = {name: getattr(self, name) for name in _SETTINGS} | {"source": dict(self.source)}
        left_out = {f"{name}_left_out": self.left_out[name] for name in METRICS}
        left_out |= {f"{name}_left_out_two": self.left_out_two[name] for name in METRICS}
        write_table(Path(path), _KIND, _SCHEMA_VERSION, header, self._columns() | left_out)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Monosemanticity":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        header, columns = read_table(Path(path), _KIND, _SCHEMA_VERSION)
        try:
            kept: dict[str, Any] = {name: columns[name] for name in METRICS + _EVIDENCE}
            kept |= {name: header[name] for name in _SETTINGS}
            kept["baseline"] = np.nan if kept["baseline"] is None else kept["baseline"]
            ends = {name: [columns[f"{name}_low"], columns[f"{name}_high"]] for name in METRICS}
            return cls(
                intervals={name: np.stack(pair, axis=1) for name, pair in ends.items()},
                chance={name: columns[f"{name}_chance"] for name in METRICS},
                left_out={name: columns[f"{name}_left_out"] for name in METRICS},
                left_out_two={name: columns[f"{name}_left_out_two"] for name in METRICS},
                **kept,
            )
        except KeyError as error:
            raise ModalensError(f"{path} is damaged (no {error}); score the features again.") from error

    def _columns(self) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {}
        for name in METRICS:
            columns[name] = getattr(self, name)
            columns[f"{name}_low"], columns[f"{name}_high"] = self.intervals[name].T
            columns[f"{name}_chance"] = self.chance[name]
        return columns | {name: getattr(self, name) for name in _EVIDENCE}
