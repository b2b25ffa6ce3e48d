"""Score paired embeddings in every way at once, and keep the scores in a folder."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from modalens.arrays import Matrix, paired_shape, sliceable
from modalens.dominance import ESTIMATORS, Dominance, ModalityGap
from modalens.dominance.classes import check_modalities
from modalens.dominance.gap import both_fire, gap_of
from modalens.dominance.parts import Part, Plan, Sums, cut_parts, sum_part
from modalens.dominance.retrieval import Retrieval, measure_retrieval
from modalens.dominance.rules import RULES, check_rule
from modalens.dominance.scores import dominance_of
from modalens.engine.workers import Engine, LocalEngine
from modalens.errors import ModalensError
from modalens.options import DEFAULT_RULE, Options, option
from modalens.progress import progress_bar
from modalens.runs.inputs import scores_kept
from modalens.statistics.buckets import Buckets
from modalens.statistics.groups import group_keys
from modalens.store import CodeStore, EmbeddingStore
from modalens.store.documents import read_document, write_document
from modalens.store.kept import kept_or_made
from modalens.version import __version__

logger = logging.getLogger(__name__)

_SUMMARY = "scores.json"
_KIND = "modalens scores"
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ScoreConfig(Options):
    """How embeddings are scored.

    Attributes
    ----------
    rule
        Class rule, ``twofold`` or ``mu_sigma`` (published); both are kept, this one names the classes.
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

    rule: str = option(DEFAULT_RULE, "Class rule.", choices=tuple(RULES))
    normalize: bool = option(False, "L2-normalise every embedding first.")
    groups: str | None = option(
        None, "Metadata column whose values are drawn together in the bootstrap (default: the image)."
    )
    split: str | None = option(None, "Score only the pairs whose column 'split' is this (default: all).")
    resamples: int = option(200, "Bootstrap resamples; 0 leaves intervals out.", least=0)
    seed: int = option(0, "Seed of every draw.", least=0)


@dataclass(frozen=True)
class SumsOn(Options):
    """Where the pairs of dense embeddings are summed; it changes scores by rounding."""

    device: str | None = option(None, "Device of the sums, such as cuda (default: the CPU).")

    def picked(self) -> str | None:
        """PyTorch's name of the device; None for the CPU, where compiled code is faster.

        Raises
        ------
        ModalensError
            If there is no such device on this machine.
        """
        if self.device is None:
            return None
        from modalens.towers.compute import pick_device  # brings PyTorch

        device = pick_device(self.device)
        return None if device.type == "cpu" else str(device)


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

    @property
    def modalities(self) -> tuple[str, str]:
        """Names of the two sides, the one at R = 1 first."""
        first, second = next(each.modalities for each in self.dominance.values() if not isinstance(each, str))
        return first, second

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
            "modalens": __version__,
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
        except (KeyError, TypeError, OverflowError) as error:
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
    device: str | None = None,
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
    device
        See :class:`SumsOn`.
    """
    image, text = sliceable(image), sliceable(text)
    chosen = _Chosen(image, text, None, groups, image_ids, modalities)
    sum_one = partial(sum_part, image, text, device=SumsOn(device).picked())
    return _score(chosen, config or ScoreConfig(), LocalEngine(), sum_one, source or {})


@dataclass(frozen=True)
class _Chosen:
    """What is scored: some rows of two matrices (all by default), and labels of those rows."""

    image: Matrix
    text: Matrix
    rows: np.ndarray | None
    groups: Sequence[Any] | np.ndarray | None
    image_ids: Sequence[Any] | np.ndarray | None
    modalities: tuple[str, str]

    def pick(self) -> tuple[Matrix, Matrix]:
        """Lazy matrices of these rows alone."""
        if self.rows is None:
            return self.image, self.text
        return self.image.pick(self.rows), self.text.pick(self.rows)


def _score(
    chosen: _Chosen,
    config: ScoreConfig,
    engine: Engine,
    sum_one: Callable[[Plan, Part], Sums],
    source: Mapping[str, Any],
) -> Scores:
    """:func:`_sum_and_conclude`, with a sentence where the memory does not suffice."""
    try:
        return _sum_and_conclude(chosen, config, engine, sum_one, source)
    except MemoryError as error:
        n_features = int(chosen.image.shape[1])
        draws = 4 * n_features * config.resamples / 2**30
        raise ModalensError(
            f"Scoring {n_features} features does not fit into memory: {config.resamples} resamples take about "
            f"{draws:.1f} GiB beside the sums; fewer --resamples take less."
        ) from error


def _sum_and_conclude(
    chosen: _Chosen,
    config: ScoreConfig,
    engine: Engine,
    sum_one: Callable[[Plan, Part], Sums],
    source: Mapping[str, Any],
) -> Scores:
    """Sum over the pairs wherever the engine has workers, and conclude here."""
    check_rule(config.rule)
    image, text = chosen.pick()
    n_pairs, n_features = paired_shape(image, text, check_modalities(chosen.modalities))
    keys = None if chosen.groups is None else group_keys(chosen.groups, n_pairs)
    plan = Plan(
        n_pairs,
        n_features,
        Buckets.of(n_pairs, keys, n_features),
        ESTIMATORS,
        gap=True,
        normalize=config.normalize,
        resamples=config.resamples,
        seed=config.seed,
        modalities=chosen.modalities,
    )
    with progress_bar("Scoring", n_pairs) as advance:

        def sum_all(plan: Plan, rows: np.ndarray | None, keys: np.ndarray | None) -> Sums:
            sums: Sums | None = None
            for part, summed in engine.map(partial(sum_one, plan), cut_parts(plan.n_pairs, rows, keys), str):
                if sums is None:
                    sums = summed
                else:
                    sums.merge(summed)
                advance(part.stop - part.start if first in plan.estimators else 0)
                del summed
            return sums or Sums.empty(plan)

        first = next(iter(ESTIMATORS))
        fires = both_fire(image, text)
        dominance: dict[str, Dominance | str] = {}
        gap: ModalityGap | None = None
        for step in plan.steps(gap_apart=not fires.all()):
            sums = sum_all(step, chosen.rows, keys)
            dominance |= _dominance(sums, step, config.rule, source)
            gap = gap_of(sums, step, keys, source) if step.gap else gap
            del sums
        if gap is None:
            logger.info("The gap leaves out %d pairs: no feature fires on a side of theirs", (~fires).sum())
            rows = np.flatnonzero(fires) if chosen.rows is None else chosen.rows[fires]
            gap_keys = None if keys is None else np.unique(keys[fires], return_inverse=True)[1]
            buckets = Buckets.of(len(rows), gap_keys, n_features)
            gap_plan = replace(plan, n_pairs=len(rows), buckets=buckets, estimators=(), normalize=False)
            gap = gap_of(sum_all(gap_plan, rows, gap_keys), gap_plan, gap_keys, source)
    dominance = {name: dominance[name] for name in plan.estimators}
    found = measure_retrieval(image, text, image_ids=chosen.image_ids, seed=config.seed)
    return Scores(dominance, gap, found, config, dict(source))


def _dominance(sums: Sums, plan: Plan, rule: str, source: Mapping[str, Any]) -> dict[str, Dominance | str]:
    """Scores by each estimator of a plan; those that agree are drawn once."""
    found: dict[str, Dominance | str] = {}
    for name, each in sums.dominance.items():
        same = found.get(str(ESTIMATORS[name].same_as))
        if isinstance(each, str):
            found[name] = each
        elif isinstance(same, Dominance):
            found[name] = replace(same, estimator=name)
        else:
            found[name] = dominance_of(sums, name, plan, rule, source)
    return found


def score_store(
    store: EmbeddingStore | CodeStore,
    config: ScoreConfig | None = None,
    engine: Engine | None = None,
    device: str | None = None,
) -> Scores:
    """Score a store; pairs that share an image (or ``config.groups``) are drawn together.

    Parameters
    ----------
    store
        Embeddings or codes.
    config
        See :class:`ScoreConfig`.
    engine
        Who sums over the pairs: an open engine (see :func:`~modalens.engine.engines.open_engine`), whose
        workers open the store by its folder; this process by default. The scores are the same bit for bit.
    device
        See :class:`SumsOn`.

    Raises
    ------
    ModalensError
        If the store lacks the metadata column of ``config.groups`` or ``config.split``, or no pair has
        that split.
    """
    config = config or ScoreConfig()
    engine, device = engine or LocalEngine(), SumsOn(device).picked()
    rows = None if config.split is None else store.rows_of_split(config.split)
    images = store.image_numbers
    groups = store.groups if config.groups is None else store.groups_by(config.groups)
    if rows is not None:
        images, groups = (None if each is None else each[rows] for each in (images, groups))
    manifest = store.manifest
    source = {"store": store.folder.name, "pairs": len(store) if rows is None else len(rows)}
    if manifest is not None:
        source |= {
            "model": dict(manifest.model),
            "pairs_source": dict(manifest.source),
            "config": dict(manifest.config),
        }
    chosen = _Chosen(store.image, store.text, rows, groups, images, store.modalities)
    sum_one = (
        partial(sum_part, store.image, store.text, device=device)
        if engine.in_process
        else partial(_sum_stored, type(store), store.folder.resolve(), device)
    )
    return _score(chosen, config, engine, sum_one, source)


def score_into(
    folder: Path,
    store: EmbeddingStore | CodeStore,
    config: ScoreConfig | None = None,
    engine: Engine | None = None,
    device: str | None = None,
) -> Scores:
    """Scores of a store in a folder: those that are there if they were made from the same, else made now.

    Parameters
    ----------
    folder
        Where they are kept.
    store, engine, device
        As for :func:`score_store`.
    config
        How to score; by default as it was done last in this folder.
    """
    config = config or last_config(folder) or ScoreConfig()
    chosen = config

    def make() -> Scores:
        scores = score_store(store, chosen, engine, device)
        scores.save(folder)
        return scores

    return kept_or_made(scores_kept(folder, store, config), lambda: Scores.load(folder), make)


def last_config(folder: Path) -> ScoreConfig | None:
    """How scoring was done last in a folder; None where it was not, or the scores are damaged."""
    try:
        return ScoreConfig(**read_document(folder / _SUMMARY, _KIND, _SCHEMA_VERSION)["config"])
    except (KeyError, TypeError, ModalensError):
        return None


def _sum_stored(kind: Any, folder: Path, device: str | None, plan: Plan, part: Part) -> Sums:
    """The sums over a part, for a worker in another process; ``kind`` is the store's class."""
    store = _open(kind, folder)
    return sum_part(store.image, store.text, plan, part, device)


@lru_cache(maxsize=1)
def _open(kind: Any, folder: Path) -> EmbeddingStore | CodeStore:
    opened: EmbeddingStore | CodeStore = kind.open(folder)
    return opened
