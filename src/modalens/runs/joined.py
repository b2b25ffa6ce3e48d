"""Score a joined store: shares of more than two modalities, the gaps between them, and a page on both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.dominance import GapMatrix, SimplexDominance, gap_matrix, modality_dominance
from modalens.errors import InputError
from modalens.features import FeatureModel
from modalens.report.several import write_several_report
from modalens.runs.scoring import ScoreConfig
from modalens.store import JoinedStore


@dataclass(frozen=True)
class JoinedScores:
    """What :func:`score_joined` finds.

    Attributes
    ----------
    dominance
        Shares of the modalities in every feature.
    gaps
        The gap between each two modalities.
    missing
        For each modality, how many ids of its store are in no other store and left out.
    """

    dominance: SimplexDominance
    gaps: GapMatrix
    missing: dict[str, int]

    def save(self, folder: Path, title: str) -> Path:
        """Write ``simplex.parquet``, ``gaps.json`` and ``report.html`` into a folder; gives the page's path."""
        self.dominance.save(folder / "simplex.parquet")
        self.gaps.save(folder / "gaps.json")
        return write_several_report(self.dominance, self.gaps, folder, title)


def score_joined(
    joined: JoinedStore, config: ScoreConfig, estimator: str, features: FeatureModel | None = None
) -> JoinedScores:
    """Shares of the modalities of a joined store, or of its codes by some features, and the gap between each two.

    Raises
    ------
    ModalensError
        If the store joins fewer than three modalities, groups or a split are asked for, which stores of pairs have, or
        the features are of another width or of two modalities alone.
    """
    if len(joined.modalities) < 3:
        raise InputError("Two modalities are scored as a store of pairs; join three or more.")
    if config.groups or config.split:
        raise InputError("A joined store has no metadata, so --groups and --split do not work on it.")
    if getattr(features, "by_modality", False):
        raise InputError(
            "These features tell images from texts and know no third modality; train others on the joined store."
        )
    source: dict[str, Any] = {"stores": joined.identity(), "missing": joined.missing}
    sides = joined.matrices
    if features is not None:
        source["features"] = features.card()
        sides = tuple(map(features.encode, sides))
    of: dict[str, Any] = {"groups": joined.groups, "modalities": joined.modalities, "source": source}
    first, second, third, *others = sides
    dominance = modality_dominance(
        (first, second, third, *others),
        estimator=estimator,
        rule=config.rule,
        normalize=config.normalize,
        resamples=config.resamples,
        seed=config.seed,
        **of,
    )
    gaps = gap_matrix(sides, resamples=config.resamples, seed=config.seed, **of)
    return JoinedScores(dominance, gaps, joined.missing)
