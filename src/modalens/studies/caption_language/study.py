"""What of language is shared with images, and what stays apart?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Matrix, iter_blocks, paired_shape
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.statistics.controls import LEVEL, corrected
from modalens.statistics.groups import group_keys
from modalens.studies.caption_language.config import LanguageConfig
from modalens.studies.caption_language.matched import Differences, Matched
from modalens.studies.caption_language.sentences import statements
from modalens.studies.caption_language.words import KINDS, Captions, read_captions
from modalens.studies.options import settings_of
from modalens.studies.result import StudyResult

SPLIT = "split"
# A kind that nearly all captions have is compared by how many words of it they have: at least a tenth have fewer.
_FEWEST_WITHOUT = 0.1
_ROWS = 1024
# Permutations that take the place of the data, for what is found where there is nothing to find.
_CONTROLS = 100


@dataclass(frozen=True, eq=False)
class _Side:
    """The captions of one side whose sample fires at all."""

    name: str
    rows: Int[np.ndarray, " k"]
    classes: Sequence[str]
    matched: Matched

    def compare(self, asked: "_Asked", config: LanguageConfig) -> Differences:
        return self.matched.compare(asked.has[:, self.rows], config.draws, config.seed)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What captions have or lack, with columns that say what it is, (w, n)."""

    about: Sequence[Mapping[str, Any]]
    has: sp.csc_array


def language(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    captions: Sequence[Any] | np.ndarray,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    verdicts: np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    config: LanguageConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Compare where the activity lies between captions that hold a kind of word, or a word, and others as long.

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    captions
        The text of every pair, in English, (n,).
    groups
        One label for each pair; pairs of one group, such as an image with five captions, are no independent evidence.
    verdicts
        ``split`` for each feature that is half of a split concept, (f,): such features are shown beside the classes.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`LanguageConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Table ``kinds``, one row a kind of word, side and class: mean share of a sample's activity (sum of squares)
        in features of the class, for captions with at least ``at_least`` words of the kind (``having``) and for those
        of equal length with fewer (``lacking``), the difference with its 95 % interval, p by permutation of groups, q
        (p corrected over the table) and the smallest difference that would have been found; see
        :class:`modalens.studies.caption_language.matched.Differences`. Table ``words``: the same of every word, with
        the kind it mostly is, ranked within a side and class. Table ``control``: how many tests of either table are
        found (q < .05), and how many where images exchanged their activity at random.

    Raises
    ------
    ModalensError
        If sizes do not match, TextBlob is missing, the captions are not English, or an option is unknown or out of
        range.
    """
    config = LanguageConfig.of(config, options, "language")
    n, f = paired_shape(image, text, mds.modalities)
    if len(captions) != n or {f, len(mds.score), len(mds.score if verdicts is None else verdicts)} != {f}:
        raise ModalensError(
            f"There are {n} pairs of {f} features, {len(captions)} captions and {len(mds.score)} scores; give one "
            "caption a pair, and a score and a verdict a feature."
        )
    keys = np.arange(n) if groups is None else group_keys(groups, n)
    mds = mds.with_rule(config.rule)
    rows = np.arange(n)
    if n > config.max_pairs:
        rows = np.sort(np.random.default_rng(config.seed).choice(n, config.max_pairs, replace=False))
    read = read_captions(np.asarray(captions, dtype=object)[rows])
    members = _members(mds, verdicts)
    sides = [
        _side(name, _shares(matrix, rows, members), list(members), read, keys[rows])
        for name, matrix in zip(mds.modalities, (image, text), strict=True)
    ]
    tables: dict[str, pd.DataFrame] = {}
    control = []
    for name, asked in (("kinds", _kinds(read)), ("words", _words(read, keys[rows], config.least))):
        found = [(side, side.compare(asked, config)) for side in sides if asked.about]
        tables[name] = _table(asked, found)
        control.append(_control(name, tables[name], [each for _, each in found]))
    tables["words"] = _ranked(tables["words"])
    tables["control"] = pd.DataFrame(control)
    told = [f"Of {n:,} pairs {len(rows):,} were drawn at random."] if len(rows) < n else []
    return StudyResult(
        name="language",
        title="What of language is shared, and what stays apart?",
        tables=tables,
        statements=[*statements(tables, mds.modalities), *told],
        config={
            **settings_of(config, LanguageConfig),
            "modalities": list(mds.modalities),
            "pairs": len(rows),
            "groups": len(np.unique(keys[rows])),
            "compared_words": tables["words"]["word"].nunique(),
            "tagger": "TextBlob",
        },
        source=dict(source or {}),
    )


def _members(mds: Dominance, verdicts: np.ndarray | None) -> dict[str, Bool[np.ndarray, " f"]]:
    """Features of every class that has any, the text side's first, and those of split concepts."""
    found = {name: mds.labels == name for name in mds.classes[:3]}
    if verdicts is not None:
        found[SPLIT] = np.asarray(verdicts) == "split"
    return {name: inside for name, inside in found.items() if inside.any()}


def _shares(
    matrix: Matrix, rows: Int[np.ndarray, " n"], members: Mapping[str, Bool[np.ndarray, " f"]]
) -> Float[np.ndarray, "n c"]:
    """Share of each sample's sum of squares that lies in the features of each class; NaN where nothing fires."""
    picked: Any = matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]
    inside = np.stack(list(members.values()), axis=1).astype(np.float64)
    found = np.full((len(rows), len(members)), np.nan)
    for start, block in iter_blocks(picked, _ROWS, "feature"):
        squares = block.multiply(block).tocsr() if sp.issparse(block) else block**2
        energy = np.asarray(squares.sum(axis=1), dtype=np.float64).ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            found[start : start + len(energy)] = np.asarray(squares @ inside) / energy[:, None]
    return found


def _side(
    name: str,
    shares: Float[np.ndarray, "n c"],
    classes: Sequence[str],
    read: Captions,
    keys: Int[np.ndarray, " n"],
) -> _Side:
    fires = np.flatnonzero(~np.isnan(shares).any(axis=1) & (read.lengths > 0))
    group = np.unique(keys[fires], return_inverse=True)[1].reshape(-1)
    return _Side(name, fires, classes, Matched(shares[fires], read.lengths[fires], group))


def _kinds(read: Captions) -> _Asked:
    """Every kind that captions differ in: which have so many words of it that a tenth have fewer."""
    about, rows = [], []
    for place, kind in enumerate(KINDS):
        number = read.kinds[:, place]
        least = 1
        while (number < least).mean() < _FEWEST_WITHOUT and (number > least).any():
            least += 1
        has = number >= least
        if has.any() and not has.all():
            about.append({"kind": kind, "at_least": least})
            rows.append(has)
    return _Asked(about, sp.csc_array(np.stack(rows) if rows else np.zeros((0, len(read.lengths)))))


def _words(read: Captions, keys: Int[np.ndarray, " n"], least: int) -> _Asked:
    """Every word that captions of enough groups have and those of as many lack."""
    about, places = [], []
    for word, rows in read.words.items():
        lacking = np.setdiff1d(np.arange(len(keys)), rows)
        if min(len(np.unique(keys[each])) for each in (rows, lacking)) >= least:
            about.append({"word": word, "kind": read.kind_of[word]})
            places.append(rows)
    row = np.repeat(np.arange(len(places)), [len(each) for each in places])
    column = np.concatenate([*places, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    return _Asked(about, sp.csc_array((np.ones(len(row)), (row, column)), shape=(len(places), len(keys))))


def _table(asked: _Asked, found: Sequence[tuple[_Side, Differences]]) -> pd.DataFrame:
    """One row a thing, side and class."""
    rows: list[dict[str, Any]] = []
    for what, about in enumerate(asked.about):
        for side, each in found:
            for place, label in enumerate(side.classes):
                values = {
                    "having": each.having,
                    "lacking": each.lacking,
                    "difference": each.value,
                    "difference_low": each.low,
                    "difference_high": each.high,
                    "p": each.p,
                    "detectable": each.detectable,
                }
                counts = {"captions": int(each.captions[what]), "groups": int(each.groups[what])}
                rows.append(
                    {**about, "side": side.name, "class": label, **counts}
                    | {name: float(column[what, place]) for name, column in values.items()}
                )
    columns = ["word", "kind", "side", "class", "difference", "p", "detectable"]
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
    table.insert(list(table.columns).index("p") + 1, "q", corrected(table["p"].to_numpy(dtype=np.float64)))
    return table


def _ranked(words: pd.DataFrame) -> pd.DataFrame:
    return words.sort_values(
        ["side", "class", "difference", "word"], ascending=[False, True, False, True], ignore_index=True
    )


def _control(name: str, table: pd.DataFrame, found: Sequence[Differences]) -> dict[str, Any]:
    """Tests of a table that are found, and those found in permutations that take the place of the data."""
    drawn = np.concatenate(
        [each.p_of_drawn(_CONTROLS).reshape(-1, _CONTROLS) for each in found] or [np.ones((1, 1))]
    )
    counts = [int((corrected(column) < LEVEL).sum()) for column in drawn.T]
    return {
        "table": name,
        "tests": int(table["p"].notna().sum()),
        "found": int((table["q"] < LEVEL).sum()),
        "exchanged": float(np.mean(counts)),
        "exchanged_some": float(np.mean(np.array(counts) > 0)),
        "exchanged_most": max(counts),
    }
