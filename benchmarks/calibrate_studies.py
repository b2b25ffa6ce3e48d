"""Size and power of the tests that studies make of a class beside random features, by simulation against known truth.

Run ``python benchmarks/calibrate_studies.py``; it prints the rows of a Markdown table (setting, what, value, goal) and
takes some minutes on one core.
"""

from collections.abc import Iterator

import numpy as np

from modalens.dominance import modality_dominance
from modalens.statistics.controls import against_random, corrected, one_more_draw
from modalens.studies.class_removal.study import removal
from modalens.studies.text_to_image_control.slopes import against_random_sets, mean_of

_SIMULATIONS = 4_000
_OF_SLOPES = 600
_OF_REMOVAL = 30
_SIZE, _POWER, _COVERAGE = "at most .06", ".75 to .9", ".9 to .99"

Row = tuple[str, str, float, str]


def main() -> None:
    """Print every row as it is known."""
    print("| setting | what | value | goal |", "| --- | --- | --- | --- |", sep="\n", flush=True)
    for source in (random_sets(), tables(), prediction(), slopes(), removals()):
        for setting, what, value, goal in source:
            print(f"| {setting} | {what} | {value:.3f} | {goal} |", flush=True)


def outcomes(
    rng: np.random.Generator, sets: int, groups: int, each: int, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes of samples with a set and with random sets that differ from it by chance alone, and the samples' groups.

    ``one more set``: the set is a random one, with an effect of its own and one on each group. ``other samples``:
    random sets all act alike, and the set acts on samples that it picks at random.
    """
    keys = np.repeat(np.arange(groups), each)
    if kind == "one more set":
        found = 0.3 * rng.normal(size=(sets + 1, 1)) + rng.normal(size=groups)
        found = found + rng.normal(size=(sets + 1, groups))
    else:
        found = np.repeat(rng.normal(size=(1, groups)), sets + 1, axis=0)
        found[0] += rng.normal(size=groups)
    samples = found[:, keys] + 0.3 * rng.normal(size=len(keys))
    return samples[0], samples[1:], keys


def usual(detectable: list[float]) -> float:
    """One alternative for all repetitions: the difference that tests say they detect, whose square is unbiased."""
    return float(np.sqrt(np.mean(np.square(detectable))))


def random_sets() -> Iterator[Row]:
    """Size of the test beside random sets, and power at the difference that it says it can detect."""
    for groups, sets, each in (
        (4, 5, 1),
        (4, 20, 1),
        (10, 20, 1),
        (10, 20, 3),
        (50, 5, 1),
        (50, 20, 1),
        (200, 20, 3),
    ):
        of = f"{groups} groups of {each}, {sets} random sets"
        for kind in ("one more set", "other samples"):
            rng = np.random.default_rng([groups, sets, each, len(kind)])
            p = [against_random(*outcomes(rng, sets, groups, each, kind)).p for _ in range(_SIMULATIONS)]
            yield (
                f"{of}, {kind}",
                "size of a class beside random sets",
                float(np.mean(np.array(p) < 0.05)),
                _SIZE,
            )
        rng = np.random.default_rng([groups, sets, each])
        tests = [outcomes(rng, sets, groups, each, "one more set") for _ in range(_SIMULATIONS // 4)]
        effect = usual([against_random(*test).detectable for test in tests])
        found = [against_random(own + effect, draws, keys).p < 0.05 for own, draws, keys in tests]
        yield of, "power at the detectable difference", float(np.mean(found)), _POWER


def tables() -> Iterator[Row]:
    """False discoveries of a table corrected together: 12 tests, of which some find something."""
    rng = np.random.default_rng(0)
    for effects in (0, 4):
        false = []
        for _ in range(_SIMULATIONS // 8):
            p = []
            for place in range(12):
                own, draws, keys = outcomes(rng, 20, 50, 1, "one more set")
                p.append(against_random(own + 3.0 * (place < effects), draws, keys).p)
            found = corrected(np.array(p)) < 0.05
            false.append(found[effects:].sum() / max(found.sum(), 1))
        yield (
            f"12 tests of a table, {effects} true",
            "false-discovery rate of q under .05",
            float(np.mean(false)),
            _SIZE,
        )


def prediction() -> Iterator[Row]:
    """Coverage of the interval in which one more random set falls."""
    for sets in (5, 20):
        rng = np.random.default_rng(sets)
        inside = 0
        for values in rng.normal(size=(_SIMULATIONS, sets + 1)):
            low, high = one_more_draw(values[1:])
            inside += low <= values[0] <= high
        yield f"{sets} random sets", "coverage by the interval of one more", inside / _SIMULATIONS, _COVERAGE


def slopes() -> Iterator[Row]:
    """Slopes of the text-to-image study, over references and seeds."""
    for references, seeds, sets in ((3, 2, 8), (8, 2, 8), (8, 1, 8), (8, 2, 4)):
        rng = np.random.default_rng([references, seeds, sets])
        low, held, found, detectable = 0, 0, 0, []
        for _ in range(_OF_SLOPES):
            effects = rng.normal(size=(sets + 1, 1, 1))
            values = effects + rng.normal(size=(sets + 1, references, 1)) + rng.normal(size=(references, 1))
            values = values + 0.5 * rng.normal(size=(sets + 1, references, seeds))
            test = against_random_sets(values[0], values[1:], 0)
            low += test.p < 0.05
            detectable.append(test.detectable)
            mean = mean_of(values[0] - effects[0], 0)
            held += mean.low <= 0 <= mean.high
        effect = usual(detectable)
        for _ in range(_OF_SLOPES // 2):
            values = rng.normal(size=(sets + 1, 1, 1)) + rng.normal(size=(sets + 1, references, 1))
            values = values + 0.5 * rng.normal(size=(sets + 1, references, seeds))
            found += against_random_sets(values[0] + effect, values[1:], 0).p < 0.05
        of = f"{references} references, {seeds} seeds, {sets} random sets"
        yield of, "size of a class's slope beside random sets", low / _OF_SLOPES, _SIZE
        yield of, "coverage of a slope's interval", held / _OF_SLOPES, "at least .9 (errs to the wide side)"
        yield of, "power at the detectable difference", found / (_OF_SLOPES // 2), _POWER


def removals() -> Iterator[Row]:
    """The removal study on features that know nothing of the labels."""
    p, any_found = [], 0
    for seed in range(_OF_REMOVAL):
        rng = np.random.default_rng([seed, 9])
        image, text = rng.normal(size=(2, 120, 24))
        image[:, :6] *= 6
        text[:, 6:12] *= 6
        mds = modality_dominance(image, text, rule="twofold", resamples=0)
        table = removal(image, text, rng.integers(0, 3, 120), mds, folds=2, seed=seed).tables["removal"]
        p.append(table[["p", "p_energy"]].to_numpy())
        any_found += bool((table[["q", "q_energy"]] < 0.05).any(axis=None))
    both = np.array(p)
    of = "removal, 120 pairs, labels at random"
    # Rows of one table are not independent, so that a size has a standard error of about .02.
    yield (
        of,
        "size beside random sets of equal number",
        float((both[..., 0] < 0.05).mean()),
        "at most .06 (error .02)",
    )
    yield (
        of,
        "size beside random sets of equal energy",
        float((both[..., 1] < 0.05).mean()),
        "at most .06 (error .02)",
    )
    yield of, "tables with any q under .05", any_found / _OF_REMOVAL, "at most .06 (error .04)"


if __name__ == "__main__":
    main()
