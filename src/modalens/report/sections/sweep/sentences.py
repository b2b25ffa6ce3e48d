"""What a sweep over dictionary sizes says, in sentences computed from its numbers."""

import math

from modalens.interpret.sweep import BASELINE, PUBLISHED_K, Sweep
from modalens.report.naming import Naming, are_halves, count, halves, listing, number, percent


def statements(sweep: Sweep, naming: Naming) -> list[str]:
    """The recommendation, what found again means, the published setting beside it, and what was left out."""
    choice, pairs = sweep.choice, sweep.pairs
    said = [
        f"Recommended: {choice} {sweep.sureness}",
        (
            f"Every size was trained from {sweep.seeds} seeds on the same {count(pairs['trained'])} pairs; variance is "
            f"that of {count(pairs['held_out'])} pairs held out, and classes are those of the "
            f"{count(pairs['measured'])} pairs that are scored. Found again: another seed has a feature "
            f"whose decoder row has a cosine of at least {sweep.threshold:g} with this one's."
        ),
        _by_k(sweep),
        _published(sweep),
        _splits(sweep, naming),
        _baseline(sweep, naming),
        *sweep.notes,
    ]
    return [each for each in said if each]


def _by_k(sweep: Sweep) -> str:
    """How stability moves with k and with n, means over the other."""
    frame = sweep.summary
    by_k, by_n = (frame.groupby(name)["found"].mean() for name in ("k", "n"))
    told = [
        f"{percent(found.iloc[0])} at {name} = {found.index[0]} and {percent(found.iloc[-1])} at {name} = "
        f"{found.index[-1]}"
        for name, found in (("k", by_k), ("n", by_n))
        if len(found) > 1
    ]
    return f"The mean share found again is {'; '.join(told)}." if told else ""


def _published(sweep: Sweep) -> str:
    """The papers' setting, n = d and k = 32, beside the recommended one."""
    row = sweep.row(sweep.d, PUBLISHED_K)
    setting = f"the published setting, n = d = {sweep.d} and k = {PUBLISHED_K}"
    if row is None:
        return f"{setting[0].upper()}{setting[1:]}, is not among these sizes."
    chosen = sweep.row(sweep.choice.n, sweep.choice.k)
    if chosen is None or (sweep.choice.n, sweep.choice.k) == (sweep.d, PUBLISHED_K):
        return f"This is {setting}."
    least = sweep.summary["unexplained"].min()
    best = "the least of all" if row["unexplained"] <= least else f"against {percent(least, 1)} at best"
    return (
        f"Of {setting}, {percent(row['found'])} of the features are found again ({percent(chosen['found'])} of the "
        f"recommended one), and {percent(row['unexplained'], 1)} of the held-out variance is left unexplained, {best} "
        f"({percent(chosen['unexplained'], 1)})."
    )


def _splits(sweep: Sweep, naming: Naming) -> str:
    row = sweep.row(sweep.choice.n, sweep.choice.k)
    if row is None:
        return ""
    one_sided = row["image"] + row["text"]
    return (
        f"At the recommended size {count(one_sided)} features are {naming.long('first')} or {naming.long('second')} by "
        f"twofold; of them {are_halves(row['split'])} ({count(row['split_shuffled'])} with "
        f"pairs shuffled), {count(row['private'])} are private."
    )


def _baseline(sweep: Sweep, naming: Naming) -> str:
    """The recommended size beside a dictionary of that size whose decoder stays random."""
    row = sweep.row(sweep.choice.n, sweep.choice.k)
    if row is None or math.isnan(row[f"unexplained_{BASELINE}"]):
        return ""
    left, trained_left = percent(row[f"unexplained_{BASELINE}"], 1), percent(row["unexplained"], 1)
    parts = [
        f"{left} of the held-out variance unexplained (trained: {trained_left})",
        f"{halves(row[f'split_{BASELINE}'])} ({count(row['split'])})",
    ]
    for side, samples in (("image", naming.many(naming.first)), ("text", naming.many(naming.second))):
        frozen, trained, chance = (row[f"mono_{side}{end}"] for end in (f"_{BASELINE}", "", "_chance"))
        if not math.isnan(frozen):
            beside = f"{number(trained)}; random samples {number(chance)}"
            parts.append(f"a Mono of {number(frozen)} on {samples} ({beside})")
    return f"A dictionary of this size whose decoder rows stay random directions has {listing(parts)}."
