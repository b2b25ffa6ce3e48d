"""Every number the papers publish beside the same number of a run, and the difference."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from modalens.errors import ModalensError
from modalens.interpret.published import PUBLISHED, PUBLISHED_V1, PublishedInterpretability
from modalens.pairs.modality import many
from modalens.recipes.claimed import claims_of_runs
from modalens.recipes.matched import MATCHED, against_twins, said_of_matching
from modalens.recipes.published import ADVERSARIAL_V1, GENDER_ACCURACY, GENDER_ACCURACY_V1, MALE_WORDS
from modalens.report.sections.claims import Claim, claims_frame, claims_markdown
from modalens.runs.interpretation import SIDES, Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.representations import representations
from modalens.store.atomic import whole_file
from modalens.store.documents import write_document
from modalens.studies.class_removal.study import PUBLISHED as PUBLISHED_REMOVAL
from modalens.studies.result import RESULT_NAME, StudyResult
from modalens.version import __version__

COLUMNS = ("table", "of", "measure", "here", "low", "high", "published", "difference")
_KIND, _SCHEMA_VERSION = "modalens comparison", 3
# What the papers call a run's representations.
_CALLED = {"raw": "CLIP", "sae": "CLIP+SAE", "ncl": "CLIP+NCL"}
_TABLES = (
    ("Interpretability (Beyond Cross-Modal Alignment, Tables A1 and A2)", PUBLISHED),
    ("Interpretability (Multi-Faceted Monosemanticity, version 1, Tables 1 and 2)", PUBLISHED_V1),
)
_UNPUBLISHED = "Interpretability, forms without a published number"
_ATTRIBUTE, _VALUE = "gender", "male"


class Row(NamedTuple):
    """A number of ours with its 95 % interval, beside the published one; NaN for what there is not."""

    table: str
    of: str
    measure: str
    here: float
    low: float
    high: float
    published: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A run beside the papers.

    Attributes
    ----------
    numbers
        A number each row, with columns :data:`COLUMNS`.
    words
        Frequent words of the captions of one value, beside the published ones: columns ``from`` (``here`` or
        ``published``), ``share`` and ``words``; without rows where the study was not made.
    stand_ins
        Whether stand-ins took the place of models and data, so that the numbers mean nothing.
    claims
        Every claim of the papers with its verdict here.
    matching
        Which comparisons change one thing alone, in sentences.
    """

    numbers: pd.DataFrame
    words: pd.DataFrame
    stand_ins: bool = False
    claims: Sequence[Claim] = ()
    matching: Sequence[str] = ()


def compare(
    run: RunFolder,
    *,
    declip: RunFolder | None = None,
    matched: RunFolder | None = None,
    removal: RunFolder | None = None,
    text_to_image: RunFolder | None = None,
) -> Comparison:
    """Published numbers beside those of a run.

    Parameters
    ----------
    run
        A run of CLIP with features ``sae`` and ``ncl``, its interpretations and studies; what was not made of it is
        left out.
    declip, matched, removal
        The same pairs through DeCLIP, and through the CLIP that was trained on DeCLIP's pairs; the run of the removal
        test. None leaves their tables out.
    text_to_image
        The run of the text-to-image study, for its claims.

    Raises
    ------
    ModalensError
        If there is nothing to compare, or a result is damaged.
    """
    interpreted = _interpreted(run, _CALLED)
    if declip is not None:
        interpreted |= _interpreted(declip, {"raw": "DeCLIP"})
    twin = {} if matched is None else _interpreted(matched, {"raw": MATCHED})
    gender = _result(run, _ATTRIBUTE, "sae") or _result(run, _ATTRIBUTE, "raw")
    rows = [
        *_interpretability(interpreted),
        *(Row(*each) for each in against_twins(interpreted | twin)),
        *(_removal(_result(removal, "removal", "raw")) if removal is not None else ()),
        *_gender(gender),
        *_adversarial(run),
    ]
    if not rows:
        raise ModalensError(
            f"Nothing that the papers publish was measured in {run.folder}; interpret it first."
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS[:-1]))
    numbers = table.assign(difference=table["here"] - table["published"])
    beside = [each for each in (removal, text_to_image) if each is not None]
    theirs = interpreted.get("DeCLIP")
    claims = claims_of_runs(run, beside, None if theirs is None else theirs.fidelity)
    matching = said_of_matching(declip=declip is not None, matched=bool(twin))
    return Comparison(numbers, _words(gender), run.of_stand_ins, claims, matching)


def write_comparison(found: Comparison, folder: Path) -> None:
    """Write ``comparison.json`` and ``comparison.md``."""
    rows, words, claims = (
        frame.astype(object).where(frame.notna(), None).to_dict("records")
        for frame in (found.numbers, found.words, claims_frame(found.claims))
    )
    document = {"modalens": __version__, "stand_ins": found.stand_ins, "rows": rows, "words": words}
    document |= {"claims": claims, "matching": list(found.matching)}
    write_document(folder / "comparison.json", _KIND, _SCHEMA_VERSION, document)
    with whole_file(folder / "comparison.md") as partial:
        partial.write_text(as_markdown(found), encoding="utf-8")


def as_markdown(found: Comparison) -> str:
    """The comparison for people, one table of Markdown for each of the papers'."""
    parts = ["# Published numbers beside those measured here"]
    if found.stand_ins:
        parts = [
            "# Stand-ins, not results: published numbers beside those of stand-ins",
            "Stand-ins took the place of models and data, so the numbers here and the differences mean nothing.",
        ]
    for name, rows in found.numbers.groupby("table", sort=False):
        lines = [
            f"## {name}",
            "",
            "| | | here | interval | published | difference |",
            "|---|---|--:|--:|--:|--:|",
        ]
        for _, of, measure, *numbers in rows[list(COLUMNS)].to_numpy(dtype=object).tolist():
            here, low, high, published, difference = numbers
            interval = "" if isnan(low) else f"{low:.3f} to {high:.3f}"
            cells = (of, measure, _number(here), interval, _number(published), _number(difference, "+"))
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    if len(found.words):
        lines = [
            f"## Words of {_VALUE} captions by share of TextD (Beyond Cross-Modal Alignment, Table A3)",
            "",
            "| | share | words |",
            "|---|--:|---|",
        ]
        for row in found.words.to_dict("records"):
            lines.append(f"| {row['from']} | {row['share']:.2f} | {row['words'].replace('|', ' ')} |")
        parts.append("\n".join(lines))
    if found.matching:
        parts.append(
            "\n".join(["## Which comparisons are matched", "", *(f"- {each}" for each in found.matching)])
        )
    if found.claims:
        parts += ["## Claims", claims_markdown(found.claims)]
    return "\n\n".join(parts) + "\n"


def _number(value: float, sign: str = "") -> str:
    if isnan(value):
        return ""
    return f"{value:{sign}.3f}" if value != round(value) or abs(value) < 2 else f"{value:{sign}.0f}"


def _interpreted(run: RunFolder, called: Mapping[str, str]) -> dict[str, Interpretation]:
    """Interpretations of a run by what the papers call its representations."""
    found = {
        called[each.name]: load_interpretation(each) for each in representations(run) if each.name in called
    }
    return {name: known for name, known in found.items() if known is not None}


def _interpretability(interpreted: Mapping[str, Interpretation]) -> Iterator[Row]:
    """EmbSim in the elementwise form, which is the published one; the other form stands by itself."""
    for table, published in _TABLES:
        for name, known in interpreted.items():
            yield from _as_published(table, name, known, published[name])
            if published is PUBLISHED_V1:
                yield _between_modalities(table, name, known, published[name])
    for name, known in interpreted.items():
        for side in SIDES:
            average = known.fidelity.average("embsim", side)
            what = f"EmbSim as ratio of means, {many(side)}"
            yield Row(_UNPUBLISHED, name, what, average.mean, average.low, average.high, nan)


def _as_published(
    table: str, name: str, known: Interpretation, published: PublishedInterpretability
) -> Iterator[Row]:
    fidelity = known.fidelity
    for metric, written, theirs in (
        ("embsim_elementwise", "EmbSim (elementwise)", "embsim"),
        ("winrate", "WinRate", "winrate"),
    ):
        for side in SIDES:
            average = fidelity.average(metric, side)
            number = getattr(published, f"{theirs}_{side}")
            yield Row(
                table, name, f"{written}, {many(side)}", average.mean, average.low, average.high, number
            )
        for side, way in zip(SIDES, ("visual", "textual"), strict=True):
            found = fidelity.fidelity(metric, side)
            number = getattr(published, f"{way}_{theirs}")
            if not isnan(number):
                what = f"{way} fidelity by {written}"
                yield Row(table, name, what, found.value, found.low, found.high, number)


def _between_modalities(
    table: str, name: str, known: Interpretation, published: PublishedInterpretability
) -> Row:
    """The last column of the first version's Table 1."""
    ours = [known.fidelity.average("winrate", side).mean for side in SIDES]
    theirs = abs(published.winrate_image - published.winrate_text)
    what = "WinRate, difference of images and texts"
    return Row(table, name, what, abs(ours[0] - ours[1]), nan, nan, round(theirs, 3))


def _removal(result: StudyResult | None) -> Iterator[Row]:
    if result is None:
        return
    found = {(row["modality"], row["without"]): row for row in result.tables["removal"].to_dict("records")}
    table = "Removal (ViT-H/14 on COCO; Beyond Cross-Modal Alignment, Table 1)"
    told = [
        (each, found[key]) for each in PUBLISHED_REMOVAL if (key := (each.modality, each.without)) in found
    ]
    for each, row in told:
        if each.modality == "image":
            number = float(row["removed"])
            yield Row(table, "features", f"{each.without} class", number, nan, nan, float(each.removed))
    for each, row in told:
        of = many(each.modality)
        if each.without == "image":
            yield Row(table, of, "whole", row["whole"], row["whole_low"], row["whole_high"], each.whole)
        for what, value, theirs in (
            (f"without {each.without}", "accuracy", each.accuracy),
            (f"random, as many as {each.without}", "random", each.random),
        ):
            yield Row(table, of, what, row[value], row[f"{value}_low"], row[f"{value}_high"], theirs)


def _gender(result: StudyResult | None) -> Iterator[Row]:
    if result is None:
        return
    for name, key, where in (
        ("changes_by_input", "input", "Multi-Faceted Monosemanticity, version 2, Table 1"),
        ("changes_by_value", "value", "Beyond Cross-Modal Alignment, Table 2"),
    ):
        frame = result.tables[name]
        changes = [column for column in frame.columns if f"{column}_low" in frame.columns]
        theirs = frame[frame["source"] == "published"].set_index(key)
        for row in frame[frame["source"] == "here"].to_dict("records"):
            for change in changes:
                published = float(theirs[change].get(row[key], nan))
                if not isnan(published):
                    what = f"change in %, {change.replace('_', ' ')}"
                    ours = (row[change], row[f"{change}_low"], row[f"{change}_high"])
                    yield Row(f"Gender ({where})", str(row[key]), what, *ours, published)
    yield from _gender_accuracy(result.tables["accuracy"])
    yield from _gender_their_way(result)


def _gender_their_way(result: StudyResult) -> Iterator[Row]:
    """The same changes measured as the papers did; intervals are over draws of their one reference."""
    frame = result.tables.get("published_way")
    if frame is None:
        return
    for row in frame[frame["published"].notna()].to_dict("records"):
        yield Row(
            "Gender, the papers' way",
            f"{row['value']}, {many(row['input'])}",
            f"change in %, without {row['without']}",
            row["their_way"],
            row["their_way_low"],
            row["their_way_high"],
            row["published"],
        )


def _gender_accuracy(accuracy: pd.DataFrame) -> Iterator[Row]:
    """Accuracies themselves: with all features in the latest paper, and by set in the first version."""
    size = accuracy.loc[accuracy["kind"] == "class", "removed"].max()
    kept = accuracy[(accuracy["kind"] == "whole") | (accuracy["removed"] == size)]
    measured = {
        (row["input"], "whole" if row["kind"] == "whole" else row["without"]): (
            row["accuracy"],
            row["accuracy_low"],
            row["accuracy_high"],
        )
        for row in kept.to_dict("records")
    }
    for modality, published in GENDER_ACCURACY.items():
        if (ours := measured.get((modality, "whole"))) is not None:
            table = "Gender (Beyond Cross-Modal Alignment, appendix A.5.1)"
            yield Row(table, modality, "accuracy, whole", *ours, published)
    for modality, numbers in GENDER_ACCURACY_V1.items():
        for without, published in numbers.items():
            if (ours := measured.get((modality, without))) is not None:
                what = "accuracy, whole" if without == "whole" else f"accuracy, without {without}"
                table = "Gender (Multi-Faceted Monosemanticity, version 1, Table 6)"
                yield Row(table, modality, what, *ours, published)


def _words(result: StudyResult | None) -> pd.DataFrame:
    """Frequent words by share, ours and the published ones."""
    columns = ["from", "share", "words"]
    if result is None or "words" not in result.tables:
        return pd.DataFrame(columns=columns)
    ours = result.tables["words"]
    ours = ours[ours["value"] == _VALUE]
    rows = [("here", share, words) for share, words in zip(ours["share"], ours["frequent"], strict=True)]
    rows += [("published", share, words) for share, words in MALE_WORDS.items()]
    return pd.DataFrame(rows, columns=columns)


def _adversarial(run: RunFolder) -> Iterator[Row]:
    """On one image and the embeddings' own features, as the papers have it, before other ways."""
    folders = [(study, name) for name in ("raw", "sae") for study in ("adversarial-one-image", "adversarial")]
    result = next((found for each in folders if (found := _result(run, *each)) is not None), None)
    if result is None:
        return
    rows = result.tables["success"].dropna(subset=["published"]).to_dict("records")
    published: tuple[tuple[str, Callable[[Mapping[Any, Any]], float]], ...] = (
        ("Beyond Cross-Modal Alignment, Table 3", lambda row: row["published"]),
        ("Multi-Faceted Monosemanticity, version 1, Table 8", lambda row: ADVERSARIAL_V1[row["set"]]),
    )
    for where, number in published:
        for row in rows:
            ours = (row["rate"], row["rate_low"], row["rate_high"])
            yield Row(f"Adversarial images ({where})", str(row["set"]), "success", *ours, number(row))


def _result(run: RunFolder, study: str, representation: str) -> StudyResult | None:
    """A study's result, if there is one with tables."""
    folder = run.study(study) / representation
    if not (folder / RESULT_NAME).exists():
        return None
    result = StudyResult.load(folder)
    return result if result.tables else None
