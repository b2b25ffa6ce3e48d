"""What closing the gap measures of one edit, beside the measures written down one after another.

Run ``python benchmarks/close_gap.py``, or for the size of a large study ``python benchmarks/close_gap.py --pairs 15000
--features 1024 --edits 1``. A study measures some 300 edits; both ways measure the same edits in one process, and the
processors' seconds are compared.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modalens.arrays import normalize_rows
from modalens.dominance import modality_gap
from modalens.dominance.gap import MEASURES
from modalens.dominance.retrieval import RANKS, measure_retrieval
from modalens.edit import zero
from modalens.studies.gap_closing.measures import GapMeasures

_LABELS = 80


def features(n: int, f: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that share a concept, with an offset between the modalities, and labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, _LABELS, n)
    spread = np.arange(1, f + 1) ** -0.5
    concept = (0.5 * generator.normal(size=(_LABELS, f))[labels] + generator.normal(size=(n, f))) * spread
    image, text = (concept + 0.7 * generator.normal(size=(n, f)) * spread for _ in range(2))
    image[:, : f // 8] += spread[: f // 8]
    text[:, f // 8 : f // 4] += spread[f // 8 : f // 4]
    return image, text, labels


def plain(measures: GapMeasures, image: np.ndarray, text: np.ndarray) -> dict[str, float]:
    """Each measure as it stands by itself: cosines in double precision, once for each direction."""
    gap = modality_gap(image, text, resamples=0, seed=measures.seed, groups=measures.keys)
    found = {name: float(getattr(gap, name)) for name in MEASURES}
    recall = measure_retrieval(image, text, image_ids=measures.image_ids, max_pairs=len(image))
    for side, each in enumerate((recall.image_to_text, recall.text_to_image)):
        found |= {measures.recall(side, rank): each[rank][0] for rank in RANKS}
    right = measures.read_labels(normalize_rows(image)[0], normalize_rows(text)[0])
    return {**found, "accuracy": float(right.mean())}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What work gives, and its seconds of processors."""
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=4_000)
    options.add_argument("--features", type=int, default=512)
    options.add_argument("--edits", type=int, default=4)
    given = options.parse_args()
    image, text, labels = features(given.pairs, given.features)
    measures, _ = GapMeasures.of(
        given.pairs,
        labels=labels,
        groups=None,
        image_ids=np.arange(given.pairs),
        modalities=("image", "text"),
        folds=5,
        seed=0,
    )
    small = slice(0, 200)
    modality_gap(image[small], text[small], resamples=0)  # compiles
    generator = np.random.default_rng(1)
    shares = (np.arange(given.edits) + 0.5) / given.edits
    removed = [
        generator.choice(given.features, round(share * given.features), replace=False) for share in shares
    ]
    print(f"{given.pairs:,} pairs x {given.features:,}, {given.edits} edits, seconds of processors")
    seconds, furthest = np.zeros(2), 0.0
    for each in removed:
        edited = zero(image, each), zero(text, each)
        ours, mine = timed(lambda e=edited: measures.measure(*e))
        theirs, other = timed(lambda e=edited: plain(measures, *e))
        seconds += mine, other
        furthest = max(furthest, *(abs(ours[name][0] - value) for name, value in theirs.items()))
        print(
            f"  without {len(each):5,} features: ours {mine:7.2f}, one after another {other:7.2f}", flush=True
        )
    print(f"  {seconds[1] / seconds[0]:.1f} times as long; largest difference of a measure {furthest:.1e}")


if __name__ == "__main__":
    main()
