"""What :func:`modalens.interpret.bridges` hands back."""

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.errors import ModalensError
from modalens.store.parquet import read_table, write_table

VERDICTS = ("split", "private", "unclear")
_KIND = "modalens.Bridges"
_SCHEMA_VERSION = 2
_SETTINGS = (
    "modalities",
    "n_pairs",
    "has_decoder",
    "min_correlation",
    "fdr",
    "shuffles",
    "seed",
    "version",
)
_COLUMNS = (
    "highest_correlation",
    "correlation_bound",
    "p_value",
    "q_value",
    "private_q_value",
    "verdict",
    "shuffled_verdict",
    "labels",
    "partners",
    "correlations",
    "geometries",
    "bridges",
)


@dataclass(frozen=True, eq=False, repr=False)
class Bridges:
    """Each one-sided feature's strongest partners on the other side, and what they make of it.

    Arrays have a row for every feature; features that are not one-sided have -1, NaN and "" there.

    Attributes
    ----------
    partners
        The features of the other side with the strongest bridges, strongest first, (f, k); -1 where there are
        fewer with a bridge over 0.
    correlations
        Pearson correlation over pairs with each partner, (f, k), in (0, 1].
    geometries
        Cosine of the two decoder rows, (f, k), in (0, 1]; NaN throughout without a decoder.
    bridges
        Correlation times cosine, (f, k), in (0, 1]; the correlation alone without a decoder.
    highest_correlation
        Largest correlation with any feature of the other side, whatever its direction, (f,); NaN where no
        feature of the other side fires together with it.
    correlation_bound
        95 % upper bound of the largest correlation with any feature of the other side in the population, (f,); it is
        what rules a partner out. -1 where the other side has no feature.
    p_value
        Chance of a best bridge as strong when pairs are shuffled, (f,), corrected for the many partners.
    q_value
        The same after the Benjamini-Hochberg correction over one-sided features, (f,).
    private_q_value
        Chance of correlations as low where some feature of the other side correlates by ``min_correlation``, (f,),
        after the same correction over features that fire for at least 12 groups; 1 for the others.
    verdict
        "split", "private", "unclear" or "" for features that are not one-sided, (f,).
    shuffled_verdict
        The verdicts on one draw of shuffled pairs, (f,): what to put beside the real ones.
    labels
        Class of each feature, (f,), from the dominance scores.
    modalities, n_pairs, has_decoder, min_correlation, fdr, shuffles, seed
        How it was made; ``n_pairs`` is the number of pairs used.
    version
        The modalens that made it.
    """

    partners: Int[np.ndarray, "f k"]
    correlations: Float[np.ndarray, "f k"]
    geometries: Float[np.ndarray, "f k"]
    bridges: Float[np.ndarray, "f k"]
    highest_correlation: Float[np.ndarray, " f"]
    correlation_bound: Float[np.ndarray, " f"]
    p_value: Float[np.ndarray, " f"]
    q_value: Float[np.ndarray, " f"]
    private_q_value: Float[np.ndarray, " f"]
    verdict: np.ndarray
    shuffled_verdict: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    modalities: tuple[str, str]
    n_pairs: int
    has_decoder: bool
    min_correlation: float
    fdr: float
    shuffles: int
    seed: int
    version: str

    def __repr__(self) -> str:
        counts = "; ".join(
            f"{side}: {', '.join(f'{verdict}={count}' for verdict, count in found.items())}"
            for side, found in self.counts().items()
        )
        return f"Bridges({len(self.verdict)} features; {counts}; n_pairs={self.n_pairs})"

    @property
    def partner(self) -> Int[np.ndarray, " f"]:
        """The strongest partner of each feature, (f,); -1 for none. The verdict says whether it means anything."""
        return self.partners[:, 0]

    @property
    def correlation(self) -> Float[np.ndarray, " f"]:
        """Correlation with the strongest partner, (f,); NaN for none."""
        return self.correlations[:, 0]

    @property
    def geometry(self) -> Float[np.ndarray, " f"]:
        """Decoder cosine with the strongest partner, (f,); NaN for none, or without a decoder."""
        return self.geometries[:, 0]

    @property
    def bridge(self) -> Float[np.ndarray, " f"]:
        """Bridge to the strongest partner, (f,); NaN for none."""
        return self.bridges[:, 0]

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of features of each one-sided class by verdict, such as ``counts()["image"]["split"]``."""
        return self._counts(self.verdict)

    def shuffled_counts(self) -> dict[str, dict[str, int]]:
        """The same on one draw of shuffled pairs, where every "split" is a mistake."""
        return self._counts(self.shuffled_verdict)

    def to_frame(self) -> pd.DataFrame:
        """One row per one-sided feature: class, verdict, strongest partner and its numbers."""
        frame = pd.DataFrame(
            {
                "feature": np.arange(len(self.verdict)),
                "label": self.labels,
                "verdict": self.verdict,
                "partner": self.partner,
                "correlation": self.correlation,
                "geometry": self.geometry,
                "bridge": self.bridge,
                "highest_correlation": self.highest_correlation,
                "correlation_bound": self.correlation_bound,
                "p_value": self.p_value,
                "q_value": self.q_value,
                "private_q_value": self.private_q_value,
                "shuffled_verdict": self.shuffled_verdict,
            }
        )
        one_sided: pd.DataFrame = frame[self.verdict != ""].reset_index(drop=True)
        return one_sided

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .parquet file, from which :meth:`load` gives the same numbers bit for bit."""
        header = {name: getattr(self, name) for name in _SETTINGS}
        columns = {name: getattr(self, name) for name in _COLUMNS}
        write_table(Path(path), _KIND, _SCHEMA_VERSION, header, columns)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Bridges":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        header, columns = read_table(Path(path), _KIND, _SCHEMA_VERSION)
        try:
            values: dict[str, Any] = {name: header[name] for name in _SETTINGS}
            values["modalities"] = tuple(values["modalities"])
            values |= {name: columns[name] for name in _COLUMNS}
        except (KeyError, TypeError, OverflowError) as error:
            raise ModalensError(f"{path} is damaged ({error!r}); compute the bridges again.") from error
        return cls(**values)

    def _counts(self, verdict: np.ndarray) -> dict[str, dict[str, int]]:
        return {
            side: {name: int(((self.labels == side) & (verdict == name)).sum()) for name in VERDICTS}
            for side in self.modalities
        }
