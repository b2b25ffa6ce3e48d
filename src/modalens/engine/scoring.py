"""Score paired embeddings in every way at once, and keep the scores in a folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import modalens
from modalens.arrays import Matrix, default_block_rows, iter_blocks, paired_shape
from modalens.dominance import ESTIMATORS, Dominance, ModalityGap, modality_dominance, modality_gap
from modalens.dominance.documents import read_document, write_document
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.retrieval import Retrieval, measure_retrieval
from modalens.store import PairStore
from modalens.store.manifest import Manifest

logger = logging.getLogger(__name__)

_SUMMARY = "scores.json"
_KIND = "modalens scores"
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ScoreConfig:
    """How embeddings are scored.

    Attributes
    ----------
    rule
        Class rule, ``mu_sigma`` or ``twofold``; both are kept, this one names the classes.
    normalize
        L2-normalise every embedding first.
    groups
        Metadata column whose values are drawn together in the bootstrap (say, the image that several
        captions share, or a concept that several pairs show). By default the image, if pairs share images.
    split
        Score only the pairs whose metadata column ``split`` has this value; all by default.
    resamples, seed
        Bootstrap resamples, and the seed of every draw.
    """

    rule: str = "mu_sigma"
    normalize: bool = False
    groups: str | None = None
    split: str | None = None
    resamples: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Scores:
    """Everything scoring gives.

    ``dominance`` holds one result an estimator, or the sentence that says why it is not defined here.
    """

    dominance: Mapping[str, Dominance | str]
    gap: ModalityGap
    retrieval: Retrieval
    config: ScoreConfig
    source: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write one Parquet file an estimator and ``scores.json``, each whole or not at all."""
        undefined = {}
        for name, result in self.dominance.items():
            path = folder / f"dominance-{name}.parquet"
            if isinstance(result, str):
                undefined[name] = result
                path.unlink(missing_ok=True)
            else:
                result.save(path)
        self.gap.save(folder / "gap.json")
        summary = {
            "modalens": modalens.__version__,
            "config": asdict(self.config),
            "source": dict(self.source),
            "estimators": list(self.dominance),
            "undefined": undefined,
            "retrieval": self.retrieval.to_dict(),
        }
        write_document(folder / _SUMMARY, _KIND, _SCHEMA_VERSION, summary)

    @classmethod
    def load(cls, folder: Path) -> "Scores":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If there are no scores, or damaged ones.
        """
        path = folder / _SUMMARY
        if not path.exists():
            raise ModalensError(f"There are no scores at {folder}; run modalens score first.")
        summary = read_document(path, _KIND, _SCHEMA_VERSION)
        try:
            undefined = summary["undefined"]
            return cls(
                dominance={
                    name: undefined.get(name) or Dominance.load(folder / f"dominance-{name}.parquet")
                    for name in summary["estimators"]
                },
                gap=ModalityGap.load(folder / "gap.json"),
                retrieval=Retrieval.from_dict(summary["retrieval"]),
                config=ScoreConfig(**summary["config"]),
                source=summary["source"],
            )
        except (KeyError, TypeError) as error:
            raise ModalensError(f"The scores {path} are damaged ({error!r}); score again.") from error


def score(
    image: Matrix,
    text: Matrix,
    config: ScoreConfig | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    modalities: tuple[str, str] = ("image", "text"),
) -> Scores:
    """Dominance under every estimator, the model-level gap and retrieval of two paired matrices.

    Parameters
    ----------
    image, text
        Paired matrices of shape (n, d).
    config
        See :class:`ScoreConfig`; its ``groups`` and ``split`` are for stores and do nothing here.
    groups
        One label a pair; pairs of one group are drawn together in the bootstrap.
    image_ids
        One label a pair; pairs that share it show one image, which retrieval counts once.
    source
        What is scored, kept with the scores.
    modalities
        What the two sides are; the one-sided classes are called after them.
    """
    config = config or ScoreConfig()
    source = dict(source or {})
    paired_shape(image, text, modalities)
    shared: dict[str, Any] = {
        "resamples": config.resamples, "seed": config.seed, "groups": groups, "source": source,
        "modalities": modalities,
    }  # fmt: skip
    results: dict[str, Dominance | str] = {}
    with progress_bar("Scoring", len(ESTIMATORS) + 2) as advance:
        for name in ESTIMATORS:
            try:
                results[name] = modality_dominance(image, text, name, config.rule, config.normalize, **shared)
            except ModalensError as error:
                if name != "signed_ratio":
                    raise
                results[name] = str(error)  # most embeddings change sign, for which it is not defined
            advance(1)
        gap = _gap(image, text, shared)
        advance(1)
        found = measure_retrieval(image, text, image_ids=image_ids, seed=config.seed)
        advance(1)
    return Scores(results, gap, found, config, source)


def _gap(image: Matrix, text: Matrix, shared: dict[str, Any]) -> ModalityGap:
    """The gap; of sparse codes, on the pairs both sides of which fire: a code of zeros has no direction."""
    if not (sp.issparse(image[:1]) and sp.issparse(text[:1])):
        return modality_gap(image, text, **shared)
    rows = np.flatnonzero(_fires(image) & _fires(text))
    silent = int(image.shape[0]) - len(rows)
    if not silent:
        return modality_gap(image, text, **shared)
    logger.info("%d pairs have a side on which no feature fires; the gap leaves them out", silent)
    groups = shared["groups"]
    kept = {**shared, "groups": None if groups is None else np.asarray(groups)[rows]}
    return modality_gap(_picked(image, rows), _picked(text, rows), **kept)


def _fires(codes: Matrix) -> np.ndarray:
    """Which rows of sparse codes have an active feature."""
    blocks = iter_blocks(codes, default_block_rows(codes), "code")
    return np.concatenate([np.diff(block.indptr) > 0 for _, block in blocks])


def _picked(matrix: Matrix, rows: np.ndarray) -> Matrix:
    return matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]


def score_store(store: PairStore, config: ScoreConfig | None = None) -> Scores:
    """Score a store; pairs that share an image (or ``config.groups``) are drawn together.

    Raises
    ------
    ModalensError
        If the store lacks the metadata column of ``config.groups`` or ``config.split``, or no pair has
        that split.
    """
    config = config or ScoreConfig()
    image: Matrix = store.image
    text: Matrix = store.text
    images = store.read_metadata(["image_path"])["image_path"] if "image_path" in store.columns else None
    groups = images if config.groups is None else store.read_metadata([config.groups])[config.groups]
    if groups is images and images is not None and images.is_unique:
        groups = None
    if config.split is not None:
        splits = store.read_metadata(["split"])["split"]
        rows = np.flatnonzero(splits == config.split)
        if len(rows) == 0:
            there = ", ".join(sorted(splits.astype(str).unique()))
            raise ModalensError(f"No pair of {store.folder} has split {config.split!r}; there are {there}.")
        image, text = image.pick(rows), text.pick(rows)
        images = None if images is None else images.iloc[rows]
        groups = None if groups is None else groups.iloc[rows]
    manifest = store.manifest
    source = {"store": store.folder.name, "pairs": len(image)}
    if manifest is not None:
        source |= {
            "model": dict(manifest.model),
            "pairs_source": dict(manifest.source),
            "config": dict(manifest.config),
        }
    return score(
        image,
        text,
        config,
        groups=None if groups is None else groups.to_numpy(),
        image_ids=None if images is None else images.to_numpy(),
        source=source,
        modalities=_modalities(manifest),
    )


def _modalities(manifest: Manifest | None) -> tuple[str, str]:
    """What the two sides of a store are; codes say it in the card of the model that they were encoded from."""
    cards = [] if manifest is None else [manifest.model, manifest.source.get("model", {})]
    first, second = next((card["modalities"] for card in cards if "modalities" in card), ("image", "text"))
    return first, second


def load_stacked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two paired matrices from a .npy file of shape (2, M, D), memory-mapped.

    Raises
    ------
    ModalensError
        If the file is missing, damaged or of another shape.
    """
    try:
        stacked: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise ModalensError(f"There is no file {path}.") from error
    except (OSError, ValueError, EOFError) as error:
        raise ModalensError(f"{path} cannot be read as a .npy file ({error}).") from error
    if stacked.ndim != 3 or len(stacked) != 2:
        raise ModalensError(
            f"{path} has shape {stacked.shape}; it must hold two stacked matrices (2, M, D), image first."
        )
    return stacked[0], stacked[1]
