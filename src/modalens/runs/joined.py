"""Score a joined store: shares of more than two modalities, the gaps between them, and a page on both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.dominance import GapMatrix, SimplexDominance, gap_matrix, modality_dominance
from modalens.errors import InputError
from modalens.features import FeatureModel, load_features
from modalens.features.card import read_log
from modalens.features.registry import kind_of_card
from modalens.options import DEFAULT_ESTIMATOR
from modalens.report.naming import listing, percent
from modalens.report.several import SharedFeatures, write_several_report
from modalens.runs.layout import LearnedFeatures, RunFolder
from modalens.runs.scoring import ScoreConfig
from modalens.store import JoinedStore
from modalens.store.lock import alone_in


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
        return write_several_report([SharedFeatures(title, self.dominance)], self.gaps, folder, title)


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


def joined_run(path: Path) -> RunFolder:
    """Where what is made of a joined store lies: a folder of its name beside the file."""
    return RunFolder(path.with_suffix(""))


def report_joined(path: Path, title: str | None = None, *, out: Path | None = None) -> Path:
    """Write one page on a joined store: its shares and gaps, and the shares in every set of features learned on it.

    Parameters
    ----------
    path
        The file of the joined store; its features are those in the folder of its name (:func:`joined_run`).
    title
        Title of the page; one that names the store by default.
    out
        Folder of the page; ``report/`` in the folder of the store's name by default.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If the store cannot be opened, joins fewer than three modalities, or features in its folder do not fit it.
    """
    joined, config, run = JoinedStore.open(path), ScoreConfig(), joined_run(path)
    own = score_joined(joined, config, DEFAULT_ESTIMATOR)
    sets = [SharedFeatures("the embeddings' own dimensions", own.dominance)]
    for each in run.all_learned():
        model = load_features(each.folder)
        found = score_joined(joined, config, DEFAULT_ESTIMATOR, model)
        sets.append(SharedFeatures(each.name, found.dominance, _note(each, model, joined.modalities)))
    folder = out or run.report
    with alone_in(folder):
        return write_several_report(sets, own.gaps, folder, title or f"The modalities of {path.stem}")


def _note(where: LearnedFeatures, model: FeatureModel, modalities: Sequence[str]) -> str:
    """What features are, and what they leave unexplained of the pairs that they were trained on."""
    card = model.card()
    told = f"{kind_of_card(card).model_class.describe(card)}, {card['n_features']:,} features."
    last = next(iter(read_log(where.folder)[::-1]), {}).get("train", {})
    left = [value for name, value in last.items() if name.startswith("fvu_") and value is not None]
    if len(left) != len(modalities):
        return told
    shares = listing([f"{percent(value)} ({name})" for name, value in zip(modalities, left, strict=True)])
    return f"{told} They leave {shares} of the variance of the samples they were trained on unexplained."
