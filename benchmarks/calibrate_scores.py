"""How often intervals of scores, gaps and retrieval hold the truth, and whether certainty is right as often as it says.

Each experiment draws data whose truth is known, many times over. ``python -m benchmarks.calibrate_scores`` prints
the table of the documentation; the tests run a few of the experiments.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from modalens.dominance import modality_dominance, modality_gap
from modalens.dominance.parts import Plan, sum_all
from modalens.dominance.retrieval import measure_retrieval
from modalens.dominance.rules import class_codes
from modalens.dominance.separability import PairSample
from modalens.statistics.buckets import Buckets


class Row(NamedTuple):
    """A line of the table: what was found in one setting, and what it should lie between."""

    setting: str
    quantity: str
    value: float
    low: float
    high: float
    experiments: int

    @property
    def met(self) -> bool:
        """Whether the value lies where it should, but for two standard errors of the simulation."""
        noise = 2 * np.sqrt(max(self.value * (1 - self.value), 0.0) / self.experiments)
        return self.low - noise <= self.value <= self.high + noise

    def __str__(self) -> str:
        goal = f"{self.low:.2f} to {self.high:.2f}"
        return f"| {self.setting} | {self.quantity} | {self.value:.3f} | {goal} | {'yes' if self.met else 'NO'} |"


def named(n: int, size: int, density: float = 1.0) -> str:
    """A setting in words."""
    groups = f"{n} pairs" if size == 1 else f"{n} pairs in groups of {size}"
    return groups if density == 1 else f"{groups}, {density:.0%} active"


def shares(
    rng: np.random.Generator, n: int, size: int, density: float, n_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Paired features whose score is known, the groups of the pairs, and the scores.

    The pairs of a group fire together and have alike shares; features differ in how much their shares vary.
    """
    groups = np.arange(n) // size
    n_groups = groups[-1] + 1
    truth = rng.uniform(0.05, 0.95, n_features)
    tightness = rng.choice([0.5, 2.0, 8.0], n_features)
    of_group, of_pair = (
        rng.beta(truth * tightness, (1 - truth) * tightness, (rows, n_features)) for rows in (n_groups, n)
    )
    alike = rng.random((n, n_features)) < (0.6 if size > 1 else 0)
    share = np.clip(np.where(alike, of_group[groups], of_pair), 1e-12, 1 - 1e-12)
    root = np.sqrt(density) if size > 1 else density
    fires = rng.random((n_groups, n_features))[groups] < root
    if size > 1:
        fires &= rng.random((n, n_features)) < root
    return share * fires, (1 - share) * fires, groups, truth


def score_intervals(
    n: int, size: int, density: float, *, estimator: str = "mean_ratio", repeats: int = 4, seed: int = 0
) -> Iterator[Row]:
    """Intervals of R and certainty of its class, over 1,000 features a repeat, by how many groups show a feature."""
    rng = np.random.default_rng(seed)
    found = []
    for repeat in range(repeats):
        a, b, groups, truth = shares(rng, n, size, density, 1_000)
        sides = (np.sqrt(a), np.sqrt(b)) if estimator == "energy_ratio" else (a, b)
        mds = modality_dominance(*sides, estimator, groups=groups, resamples=400, seed=repeat)
        first = np.arange(0, n, size)
        shown = np.add.reduceat((a > 0).astype(int), first, axis=0) > 0
        right = class_codes(truth, "twofold") == class_codes(mds.score, "twofold")
        covered = (mds.low <= truth) & (truth <= mds.high)
        wide = (mds.low < 0.02) | (mds.high > 0.98)
        found.append(np.stack([shown.sum(axis=0), covered, mds.probability, right, wide]))
    shown, covered, certainty, right, wide = np.concatenate(found, axis=1)
    for least, most, words in (
        (1, 4, "1 to 4 groups"),
        (5, 9, "5 to 9 groups"),
        (10, n, "10 groups or more"),
    ):
        here = (shown >= least) & (shown <= most)
        away = here & (wide == 0)
        if here.sum() >= 200:
            setting = f"{estimator}, {named(n, size, density)}"
            yield Row(setting, f"interval of R, {words}", covered[here].mean(), 0.9, 1.0, int(here.sum()))
            if away.sum() >= 200:
                away_covered = covered[away].mean()
                yield Row(
                    setting, f"the same, away from 0 and 1, {words}", away_covered, 0.9, 0.99, int(away.sum())
                )
            difference = certainty[here].mean() - right[here].mean()
            yield Row(
                setting, f"certainty less share right, {words}", difference, -0.03, 0.03, int(here.sum())
            )


def class_counts(n: int, size: int, density: float, rule: str, *, repeats: int = 60, seed: int = 0) -> Row:
    """Intervals of the number of features in each class."""
    rng = np.random.default_rng(seed)
    covered = []
    for repeat in range(repeats):
        a, b, groups, truth = shares(rng, n, size, density, 150)
        mds = modality_dominance(a, b, rule=rule, groups=groups, seed=repeat)
        truth[np.isnan(mds.score)] = np.nan
        true = np.bincount(class_codes(truth, rule), minlength=4)
        for code, (low, high) in enumerate(list(mds.count_intervals().values())[:3]):
            covered.append(low <= true[code] <= high)
    return Row(named(n, size, density), f"class counts, {rule}", float(np.mean(covered)), 0.9, 1.0, repeats)


def cones(
    rng: np.random.Generator, n: int, size: int, gap: float, d: int = 64
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit pairs that share a concept, the modalities some distance apart; the pairs of a group are alike."""
    groups = np.arange(n) // size

    def noise() -> np.ndarray:
        own = rng.normal(size=(n, d))
        return (
            np.sqrt(0.6) * rng.normal(size=(groups[-1] + 1, d))[groups] + np.sqrt(0.4) * own
            if size > 1
            else own
        )

    image = noise()
    text = 0.7 * image + 0.7 * noise()
    for side, sign in ((image, 1), (text, -1)):
        side[:, 0] += sign * gap * np.sqrt(d)
        side[:, 1] += np.sqrt(d)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
    return image, text, groups


def gap_intervals(n: int, size: int, gap: float, *, repeats: int = 200, seed: int = 0) -> Iterator[Row]:
    """Intervals of L2M, L2I and RMG."""
    rng = np.random.default_rng(seed)
    many = [modality_gap(*cones(rng, 20_000, 1, gap)[:2], resamples=0) for _ in range(3)]
    truth = {name: np.mean([getattr(each, name) for each in many]) for name in ("l2i", "rmg")}
    truth["l2m_unbiased"] = np.sqrt(np.mean([each.l2m_unbiased**2 for each in many])) if gap else 0.0
    held: dict[str, list[bool]] = {name: [] for name in truth}
    touching: dict[str, list[bool]] = {name: [] for name in truth}
    for _ in range(repeats):
        image, text, groups = cones(rng, n, size, gap)
        plan = Plan(n, image.shape[1], Buckets.of(n, groups), (), True)
        sums = sum_all(image, text, plan, groups)
        intervals = sums.gap.intervals()
        for name, value in truth.items():
            low, high = intervals[name]
            held[name].append(low <= value <= high)
            touching[name].append(low <= 0)
    for name, value in truth.items():
        at_bound = np.mean(touching[name]) > 0.5
        yield Row(
            f"{named(n, size)}, {name} {value:.3f}",
            "interval of the gap",
            float(np.mean(held[name])),
            0.9,
            1.0 if at_bound else 0.99,
            repeats,
        )


def retrieval_intervals(images: int, texts: int, *, repeats: int = 150, seed: int = 0) -> Iterator[Row]:
    """Intervals of R@1, of images with several captions that fare alike."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float]]] = {"image_to_text": [], "text_to_image": []}
    for _ in range(repeats):
        image = rng.normal(size=(images, 16))
        caption = (image + 1.2 * rng.normal(size=(images, 16)))[np.repeat(np.arange(images), texts)]
        caption += 0.6 * rng.normal(size=caption.shape)
        owner = np.repeat(np.arange(images), texts)
        result = measure_retrieval(image[owner], caption, image_ids=owner)
        for way, kept in found.items():
            kept.append(getattr(result, way)[1])
    for way, kept in found.items():
        truth = np.mean([value for value, _, _ in kept])
        held = np.mean([low <= truth <= high for _, low, high in kept])
        setting = f"{images} images with {texts} texts, {truth:.2f}"
        yield Row(setting, f"R@1 {way.replace('_', ' ')}", float(held), 0.9, 0.99, repeats)


def separability_intervals(n: int, size: int, gap: float, *, repeats: int = 100, seed: int = 0) -> Row:
    """Intervals of the held-out accuracy of a linear classifier of modality."""
    rng = np.random.default_rng(seed)
    kept = []
    for repeat in range(repeats):
        image, text, groups = cones(rng, n, size, gap, d=8)
        sample = PairSample(n, repeat)
        sample.collect(0, image, text)
        kept.append(sample.separability(groups, 0, repeat)[0])
    truth = float(np.mean([each.value for each in kept]))
    held = float(np.mean([each.low <= truth <= each.high for each in kept]))
    at_bound = np.mean([each.high > 0.999 for each in kept]) > 0.2
    setting = f"{named(n, size)}, accuracy {truth:.3f}"
    return Row(setting, "interval of separability", held, 0.9, 1.0 if at_bound else 0.99, repeats)


def table() -> Iterator[Row]:
    """Every row."""
    for n in (50, 200, 1_000):
        for size in (1, 4):
            for density in (1.0, 0.1, 0.02):
                yield from score_intervals(n, size, density)
            yield from score_intervals(n, size, 1.0, estimator="energy_ratio")
            yield from score_intervals(n, size, 0.1, estimator="energy_ratio")
            for rule in ("twofold", "mu_sigma"):
                yield class_counts(n, size, 1.0, rule)
                yield class_counts(n, size, 0.1, rule)
            for gap in (0.0, 0.02, 0.1, 0.4, 0.8):
                yield from gap_intervals(n, size, gap)
            yield separability_intervals(n, size, 0.1)
            yield separability_intervals(n, size, 0.8)
    for images, texts in ((50, 1), (200, 1), (1_000, 1), (40, 5), (200, 5)):
        yield from retrieval_intervals(images, texts)


if __name__ == "__main__":
    print("| setting | quantity | found | goal | met |\n| --- | --- | --- | --- | --- |")
    for row in table():
        print(row, flush=True)
