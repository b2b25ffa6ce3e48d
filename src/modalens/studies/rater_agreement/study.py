"""Do people agree with each other on what a feature belongs to, and with its class?"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.metrics import cohen_kappa_score

from modalens.errors import ModalensError
from modalens.studies.rater_agreement.answers import NEITHER, AnnotationKey, load_key, load_sheets
from modalens.studies.result import StudyResult

_MISSING = -1
_LEVELS = (2.5, 97.5)


@dataclass(frozen=True)
class _Answers:
    """Answers as numbers of ``choices``, -1 where a rater gave none."""

    raters: list[str]
    items: list[int]
    choices: tuple[str, ...]
    codes: Int[np.ndarray, "r n"]

    def counts(self) -> Int[np.ndarray, "n c"]:
        """How many raters gave each item each answer."""
        return np.stack([(self.codes == code).sum(axis=0) for code in range(len(self.choices))], axis=1)


def agreement(
    files: Sequence[str | Path], key: str | Path | None = None, *, resamples: int = 1000, seed: int = 0
) -> StudyResult:
    """How well raters of an annotation page agree with each other and with the classes.

    Parameters
    ----------
    files
        What each rater saved from the page.
    key
        The ``key.json`` beside the page; without it only raters are compared with each other.
    resamples
        Bootstrap draws over features behind each 95 % interval.
    seed
        Of the draws.

    Returns
    -------
    StudyResult
        Tables ``between_raters`` and ``with_classes`` (observed agreement and the agreement expected by
        chance, both shares of features; Cohen's kappa, in [-1, 1], with its interval), ``alpha``
        (Krippendorff's, nominal), ``answers`` (how often each answer was given to each class) and ``features``.
        Kappa and alpha are 0 at chance and 1 for full agreement; higher is better.

    Raises
    ------
    ModalensError
        If a file is damaged or answers another page, there is nothing to compare, or the package that
        computes alpha is missing.

    Notes
    -----
    Kappa: Cohen 1960; alpha: Krippendorff 2004. The answer ``neither`` is one of four between raters. No class
    corresponds to it, so against classes the features a rater answered with it are left out and counted.
    """
    if resamples < 1:
        raise ModalensError(f"resamples is {resamples}; it must be at least 1.")
    sheets = load_sheets([Path(file) for file in files])
    known = None if key is None else load_key(Path(key), sheets)
    items = sorted({item for sheet in sheets for item in sheet.answers})
    choices = sheets[0].choices
    code = {choice: number for number, choice in enumerate(choices)}
    codes = np.array(
        [
            [code[sheet.answers[item]] if item in sheet.answers else _MISSING for item in items]
            for sheet in sheets
        ]
    )
    answers = _Answers([sheet.rater for sheet in sheets], items, choices, codes)
    rng = np.random.default_rng(seed)
    tables: dict[str, pd.DataFrame] = {}
    if len(sheets) > 1:
        tables["between_raters"] = _between_raters(answers, resamples, rng)
        tables["alpha"] = _alpha(answers, resamples, rng)
    if known is not None:
        tables["with_classes"] = _with_classes(answers, known, resamples, rng)
    if not tables:
        raise ModalensError(
            f"Only {sheets[0].rater} answered: give the page's key.json too, or the answers of a second rater."
        )
    tables["answers"] = _answers_by_class(answers, known)
    tables["features"] = _features(answers, known)
    return StudyResult(
        name="agreement",
        title="Do people agree?",
        tables=tables,
        statements=_statements(answers, tables),
        config={"resamples": resamples, "seed": seed},
        source={"page": sheets[0].page, "raters": answers.raters, "with_key": known is not None},
    )


def _between_raters(answers: _Answers, resamples: int, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for first, second in combinations(range(len(answers.raters)), 2):
        shared = (answers.codes[[first, second]] != _MISSING).all(axis=0)
        a, b = answers.codes[first, shared], answers.codes[second, shared]
        names = {"rater": answers.raters[first], "other": answers.raters[second]}
        rows.append({**names, **_compare(a, b, len(answers.choices), resamples, rng)})
    frame = pd.DataFrame(rows)
    if not frame["features"].any():
        raise ModalensError(
            f"No feature was answered by two raters ({', '.join(answers.raters)}); have them answer the same ones."
        )
    return frame


def _with_classes(
    answers: _Answers, key: AnnotationKey, resamples: int, rng: np.random.Generator
) -> pd.DataFrame:
    code = {choice: number for number, choice in enumerate(answers.choices)}
    wanted = np.array([code[key.answer_of_class[key.classes[item]]] for item in answers.items])
    rows = []
    for rater, given in zip(answers.raters, answers.codes, strict=True):
        neither = given == code[NEITHER]
        used = (given != _MISSING) & ~neither
        compared = _compare(given[used], wanted[used], len(answers.choices), resamples, rng)
        rows.append({"rater": rater, "neither": int(neither.sum()), **compared})
    return pd.DataFrame(rows)


def _compare(
    a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"], choices: int, resamples: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Observed and chance agreement, and kappa with its interval; NaN where kappa is not defined."""
    cells = np.eye(choices * choices)[a * choices + b]
    table = cells.sum(axis=0).reshape(1, choices, choices)
    observed, chance = _observed_and_chance(table)
    kappa, low, high = np.nan, np.nan, np.nan
    if chance[0] < 1:
        kappa = float(cohen_kappa_score(a, b))
        draws = rng.multinomial(len(a), np.full(len(a), 1 / len(a)), size=resamples)
        low, high = np.nanpercentile(kappas((draws @ cells).reshape(-1, choices, choices)), _LEVELS)
    return {
        "features": len(a),
        "agreement": observed[0],
        "chance": chance[0],
        "kappa": kappa,
        "low": float(low),
        "high": float(high),
    }


def kappas(tables: Float[np.ndarray, "r c c"]) -> Float[np.ndarray, " r"]:
    """Cohen's kappa of many tables of counts at once; NaN where all answers are one (source: Cohen 1960)."""
    observed, chance = _observed_and_chance(tables)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)


def _observed_and_chance(
    tables: Float[np.ndarray, "r c c"],
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    total = tables.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        observed = np.trace(tables, axis1=1, axis2=2) / total
        chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / total**2
    return observed, chance


def _alpha(answers: _Answers, resamples: int, rng: np.random.Generator) -> pd.DataFrame:
    counts = answers.counts()
    counts = counts[counts.sum(axis=1) > 1]
    draws = rng.integers(len(counts), size=(resamples, len(counts)))
    alphas = np.array([krippendorff_alpha(counts[rows]) for rows in draws])
    low, high = (np.nan, np.nan) if np.isnan(alphas).all() else np.nanpercentile(alphas, _LEVELS)
    row = {"raters": len(answers.raters), "features": len(counts), "alpha": krippendorff_alpha(counts)}
    return pd.DataFrame([{**row, "low": float(low), "high": float(high)}])


def krippendorff_alpha(counts: Int[np.ndarray, "n c"]) -> float:
    """Krippendorff's alpha for nominal answers; NaN where all answers are one.

    Parameters
    ----------
    counts
        How many raters gave each of n items each of c answers.

    Raises
    ------
    ModalensError
        If the package krippendorff is missing.
    """
    try:
        library = import_module("krippendorff")
    except ImportError as error:
        raise ModalensError(
            "Krippendorff's alpha needs the package krippendorff; install it with "
            "pip install 'modalens[agreement]'."
        ) from error
    used = counts[:, counts.any(axis=0)]
    if used.shape[1] < 2:
        return float("nan")
    return float(library.alpha(value_counts=used, level_of_measurement="nominal"))


def _answers_by_class(answers: _Answers, key: AnnotationKey | None) -> pd.DataFrame:
    """How often each rater gave each answer, to each class where it is known."""
    classes = np.array(["all" if key is None else key.classes[item] for item in answers.items])
    rows = []
    for rater, given in zip(answers.raters, answers.codes, strict=True):
        for name in dict.fromkeys(sorted(classes)):
            found = given[classes == name]
            counts = {choice: int((found == code).sum()) for code, choice in enumerate(answers.choices)}
            rows.append({"rater": rater, "class": name, **counts})
    return pd.DataFrame(rows)


def _features(answers: _Answers, key: AnnotationKey | None) -> pd.DataFrame:
    """Every feature with the answers it was given; an empty cell is no answer."""
    frame = pd.DataFrame({"item": answers.items})
    if key is not None:
        frame["feature"] = [key.features[item] for item in answers.items]
        frame["class"] = [key.classes[item] for item in answers.items]
    names = np.array([*answers.choices, ""], dtype=object)  # -1 is the last
    for rater, given in zip(answers.raters, answers.codes, strict=True):
        frame[f"answer of {rater}"] = names[given]
    return frame


def _statements(answers: _Answers, tables: dict[str, pd.DataFrame]) -> list[str]:
    said = []
    if "alpha" in tables:
        row = tables["alpha"].iloc[0]
        said.append(
            f"{len(answers.raters)} raters answered {int(row['features'])} features in common: Krippendorff's alpha is "
            f"{_interval(row['alpha'], row)}, where 0 is chance and 1 full agreement."
        )
    for _, row in tables.get("between_raters", pd.DataFrame()).iterrows():
        said.append(f"{row['rater']} and {row['other']} {_agree(row)}")
    for _, row in tables.get("with_classes", pd.DataFrame()).iterrows():
        apart = f"{row['neither']} answered with neither {'is' if row['neither'] == 1 else 'are'} left out."
        said.append(f"{row['rater']} and the classes {_agree(row)[:-1]}; {apart}")
    return said


def _agree(row: Any) -> str:
    if not row["features"]:
        return "have no feature in common to compare."
    return (
        f"agree on {row['agreement']:.0%} of {row['features']} features where chance would give {row['chance']:.0%}: "
        f"kappa is {_interval(row['kappa'], row)}."
    )


def _interval(value: float, row: Any) -> str:
    return "not defined" if np.isnan(value) else f"{value:.2f} ({row['low']:.2f} to {row['high']:.2f})"
