"""What one dictionary of a sweep is measured by: classes, verdicts, Mono."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from modalens.dominance import modality_dominance
from modalens.features import FeatureModel, SAEConfig
from modalens.features.base import MODALITIES as SIDES
from modalens.interpret import bridges, monosemanticity
from modalens.interpret.bridges import LEAST_SHUFFLES
from modalens.options import DEFAULT_RULE
from modalens.runs.interpretation import InterpretConfig, SampleSets
from modalens.runs.interpreting import collect_samples
from modalens.runs.layout import RunFolder
from modalens.runs.scoring import ScoreConfig
from modalens.store import EmbeddingStore


def groups_of(store: EmbeddingStore, scoring: ScoreConfig) -> np.ndarray | None:
    """One label a pair of a store, as it is scored; None where all are independent."""
    return store.image_numbers if scoring.groups is None else store.groups_by(scoring.groups)


@dataclass(frozen=True)
class MeasuredPairs:
    """The pairs that dictionaries are measured on.

    Attributes
    ----------
    store, rows
        Where they are.
    groups
        One label a pair, of pairs that are drawn together; None where all are independent.
    samples, judges
        What says how alike samples are; None where nothing does.
    """

    store: EmbeddingStore
    rows: Int[np.ndarray, " r"]
    groups: np.ndarray | None
    samples: SampleSets | None
    judges: InterpretConfig | None

    @classmethod
    def of(
        cls,
        run: RunFolder,
        store: EmbeddingStore,
        rows: Int[np.ndarray, " r"],
        scoring: ScoreConfig,
        judges: InterpretConfig | None,
    ) -> "MeasuredPairs":
        """Some rows of a store, with their samples as the judges see them; no judges, no samples."""
        everyone = groups_of(store, scoring)
        samples = None if judges is None else collect_samples(store, run.samples, rows, judges)
        return cls(store, rows, None if everyone is None else everyone[rows], samples, judges)

    def measure(self, model: FeatureModel, config: SAEConfig) -> tuple[dict[str, Any], Int[np.ndarray, " f"]]:
        """The row of one dictionary, and on how many samples each of its features fires."""
        image, text = (model.encode(getattr(self.store, side).pick(self.rows), side) for side in SIDES)
        fired = np.bincount(np.concatenate([image.indices, text.indices]), minlength=config.n_features)
        groups = np.arange(len(self.rows)) if self.groups is None else self.groups
        mds = modality_dominance(
            image, text, rule=DEFAULT_RULE, resamples=0, groups=groups, modalities=self.store.modalities
        )
        linked = bridges(image, text, model.W_dec.numpy(), mds, shuffles=LEAST_SHUFFLES, groups=groups)
        verdicts = {
            name: sum(counts[name] for counts in linked.counts().values())
            for name in ("split", "private", "unclear")
        }
        shuffled = sum(counts["split"] for counts in linked.shuffled_counts().values())
        first, second = self.store.modalities
        classes = mds.counts(DEFAULT_RULE)
        record: dict[str, Any] = {
            "n": config.n_features,
            "k": config.k,
            "seed": config.seed,
            "dead": classes["dead"],
        }
        record |= {"image": classes[first], "cross": classes["cross"], "text": classes[second]}
        record |= {**verdicts, "split_shuffled": shuffled}
        for side, codes in (("image", image), ("text", text)):
            record |= self._mono(side, codes, groups)
        return record, fired

    def _mono(self, side: str, codes: Any, groups: np.ndarray) -> dict[str, float]:
        if self.samples is None or self.judges is None:
            return {f"mono_{side}": np.nan, f"mono_{side}_chance": np.nan}
        distinct = self.samples.distinct[side]
        found = monosemanticity(
            codes[distinct],
            self.samples.embeddings[side],
            self.judges.m,
            self.judges.seed,
            draws=1,
            by=self.judges.by,
            groups=groups[distinct],
        )
        scored = found.scored
        if not scored.any():
            return {f"mono_{side}": np.nan, f"mono_{side}_chance": np.nan}
        return {
            f"mono_{side}": float(found.mono[scored].mean()),
            f"mono_{side}_chance": float(found.chance["mono"][scored].mean()),
        }
