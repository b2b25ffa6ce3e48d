"""The gaps between several modalities, two at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd

from modalens.arrays import Matrix
from modalens.dominance.gap import DAMAGE, MEASURES, ModalityGap, json_path, modality_gap
from modalens.dominance.several import aligned_shape
from modalens.dominance.simplex import simplex_classes
from modalens.errors import ModalensError
from modalens.store.documents import read_document, write_document
from modalens.store.joined import JoinedStore
from modalens.store.paired import Groups, aligned

_KIND = "modalens.GapMatrix"
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class GapMatrix:
    """Model-level gap between each two of several modalities.

    Attributes
    ----------
    modalities
        Names of the m modalities.
    gaps
        The gap of each two of them, by their names in the order of ``modalities``.
    """

    modalities: tuple[str, ...]
    gaps: Mapping[tuple[str, str], ModalityGap]

    def between(self, first: str, second: str) -> ModalityGap:
        """The gap between two modalities.

        Raises
        ------
        ModalensError
            If they are not two of the modalities.
        """
        found = self.gaps.get((first, second)) or self.gaps.get((second, first))
        if found is None:
            raise ModalensError(
                f"There is no gap between {first!r} and {second!r}; take two of {', '.join(self.modalities)}."
            )
        return found

    def matrix(self, measure: str = "l2m_unbiased") -> pd.DataFrame:
        """One measure between all modalities, (m, m), symmetric; NaN on the diagonal.

        Raises
        ------
        ModalensError
            If there is no such measure.
        """
        if measure not in MEASURES:
            raise ModalensError(f"There is no measure {measure!r}; choose one of {', '.join(MEASURES)}.")
        found = pd.DataFrame(np.nan, index=list(self.modalities), columns=list(self.modalities))
        for (first, second), gap in self.gaps.items():
            found.loc[first, second] = found.loc[second, first] = getattr(gap, measure)
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row for each two modalities and measure: value, interval and mean under swapped labels."""
        return pd.DataFrame(
            [
                {
                    "first": first,
                    "second": second,
                    "measure": measure,
                    "value": getattr(gap, measure),
                    "low": gap.intervals[measure][0],
                    "high": gap.intervals[measure][1],
                    "label_swap": gap.null.get(measure, (np.nan,))[0],
                }
                for (first, second), gap in self.gaps.items()
                for measure in MEASURES
            ]
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a .json file, from which :meth:`load` gives the same numbers bit for bit."""
        values = {
            "modalities": list(self.modalities),
            "gaps": [gap.to_dict() for gap in self.gaps.values()],
        }
        write_document(json_path(path), _KIND, _SCHEMA_VERSION, values)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, is something else, or comes from a newer modalens.
        """
        values = read_document(json_path(path), _KIND, _SCHEMA_VERSION)
        try:
            modalities = tuple(values["modalities"])
            gaps = [ModalityGap.from_dict(each) for each in values["gaps"]]
            if [gap.modalities for gap in gaps] != list(combinations(modalities, 2)):
                raise TypeError("the gaps are not those of each two modalities")
            return cls(modalities, {gap.modalities: gap for gap in gaps})
        except DAMAGE as error:
            raise ModalensError(f"{path} is damaged ({error!r}); measure the gaps again.") from error


def gap_matrix(
    data: JoinedStore | Sequence[Matrix],
    *,
    resamples: int = 200,
    seed: int = 0,
    groups: Groups = None,
    modalities: Sequence[str] | None = None,
    source: Mapping[str, Any] | None = None,
) -> GapMatrix:
    """Measure how far apart each two of several modalities lie; see :func:`modalens.modality_gap`.

    Parameters
    ----------
    data
        A joined store, whose groups and modalities are taken; or aligned matrices (n, d).
    resamples, seed, groups, source
        As for :func:`modalens.modality_gap`.
    modalities
        Names of the matrices.

    Raises
    ------
    ModalensError
        As :func:`modalens.modality_gap`.
    """
    sides, groups, names = aligned(data, groups, modalities)
    simplex_classes(names)
    aligned_shape(sides, names)
    by_name = dict(zip(names, sides, strict=True))
    gaps = {
        (first, second): modality_gap(
            by_name[first],
            by_name[second],
            resamples=resamples,
            seed=seed,
            groups=groups,
            modalities=(first, second),
            source=source,
        )
        for first, second in combinations(names, 2)
    }
    return GapMatrix(tuple(names), gaps)
