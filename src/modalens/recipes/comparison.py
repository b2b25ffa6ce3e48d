"""Every number the papers publish beside the same number of a run, and the difference."""

from math import isnan, nan
from pathlib import Path

import pandas as pd

from modalens.errors import ModalensError
from modalens.interpret import PUBLISHED
from modalens.runs.interpretation import SIDES
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.representations import representations
from modalens.store.atomic import whole_file
from modalens.store.documents import write_document
from modalens.studies.class_removal.study import PUBLISHED as PUBLISHED_REMOVAL
from modalens.studies.result import RESULT_NAME, StudyResult
from modalens.version import __version__

COLUMNS = ("table", "of", "measure", "here", "low", "high", "published", "difference")
_KIND, _SCHEMA_VERSION = "modalens comparison", 1
# What the papers call a run's representations.
_CALLED = {"raw": "CLIP", "sae": "CLIP+SAE", "ncl": "CLIP+NCL"}
_METRICS = ("embsim", "winrate")


def compare(
    run: RunFolder, *, declip: RunFolder | None = None, removal: RunFolder | None = None
) -> pd.DataFrame:
    """Published numbers beside those of a run.

    Parameters
    ----------
    run
        A run of CLIP with features ``sae`` and ``ncl``, its interpretations and studies; what was not made of it is
        left out.
    declip, removal
        The same pairs through DeCLIP; the run of the removal test. None leaves their tables out.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`: a number each row, ours with its 95 % interval (NaN where it has none), and ours
        less the published one.

    Raises
    ------
    ModalensError
        If there is nothing to compare, or a result is damaged.
    """
    rows = [
        *_interpretability(run, _CALLED),
        *([] if declip is None else _interpretability(declip, {"raw": "DeCLIP"})),
        *([] if removal is None else _removal(removal)),
        *_gender(run),
        *_adversarial(run),
    ]
    if not rows:
        raise ModalensError(
            f"Nothing that the papers publish was measured in {run.folder}; interpret it first."
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS[:-1]))
    return table.assign(difference=table["here"] - table["published"])


def write_comparison(table: pd.DataFrame, folder: Path) -> None:
    """Write ``comparison.json`` and ``comparison.md``."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    document = {"modalens": __version__, "rows": rows}
    write_document(folder / "comparison.json", _KIND, _SCHEMA_VERSION, document)
    with whole_file(folder / "comparison.md") as partial:
        partial.write_text(as_markdown(table), encoding="utf-8")


def as_markdown(table: pd.DataFrame) -> str:
    """The comparison for people, one table of Markdown for each of the papers'."""
    parts = []
    for name, rows in table.groupby("table", sort=False):
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
    return "\n\n".join(parts) + "\n"


def _number(value: float, sign: str = "") -> str:
    return "" if isnan(value) else f"{value:{sign}.3f}"


_Row = tuple[str, str, str, float, float, float, float]


def _interpretability(run: RunFolder, called: dict[str, str]) -> list[_Row]:
    rows: list[_Row] = []
    table = "Interpretability (Beyond Cross-Modal Alignment, Tables A1 and A2)"
    for each in representations(run):
        found = load_interpretation(each)
        if each.name not in called or found is None:
            continue
        name = called[each.name]
        published = PUBLISHED[name]
        for metric in _METRICS:
            for side in SIDES:
                average = found.fidelity.average(metric, side)
                theirs = getattr(published, f"{metric}_{side}")
                rows.append(
                    (table, name, f"{metric}, {side}s", average.mean, average.low, average.high, theirs)
                )
            for side, way in zip(SIDES, ("visual", "textual"), strict=True):
                fidelity = found.fidelity.fidelity(metric, side)
                theirs = getattr(published, f"{way}_{metric}")
                what = f"{way} fidelity by {metric}"
                rows.append((table, name, what, fidelity.value, fidelity.low, fidelity.high, theirs))
    return rows


def _removal(run: RunFolder) -> list[_Row]:
    result = _result(run, "removal", "raw")
    if result is None:
        return []
    found = {(row["modality"], row["without"]): row for row in result.tables["removal"].to_dict("records")}
    rows: list[_Row] = []
    table = "Removal (ViT-H/14 on COCO)"
    for each in PUBLISHED_REMOVAL:
        row = found.get((each.modality, each.without))
        if row is None:
            continue
        of = f"{each.modality}s"
        if each.without == "image":
            rows.append((table, of, "whole", row["whole"], row["whole_low"], row["whole_high"], each.whole))
        for what, value, theirs in (
            (f"without {each.without}", "accuracy", each.accuracy),
            (f"random, as many as {each.without}", "random", each.random),
        ):
            rows.append((table, of, what, row[value], row[f"{value}_low"], row[f"{value}_high"], theirs))
    return rows


def _gender(run: RunFolder) -> list[_Row]:
    result = _result(run, "gender", "sae") or _result(run, "gender", "raw")
    if result is None:
        return []
    rows: list[_Row] = []
    for name, key in (("changes_by_input", "input"), ("changes_by_value", "value")):
        frame = result.tables[name]
        changes = [column for column in frame.columns if f"{column}_low" in frame.columns]
        theirs = frame[frame["source"] == "published"].set_index(key)
        for row in frame[frame["source"] == "here"].to_dict("records"):
            for change in changes:
                published = float(theirs[change].get(row[key], nan))
                if not isnan(published):
                    what = f"change in %, {change.replace('_', ' ')}"
                    ours = (row[change], row[f"{change}_low"], row[f"{change}_high"])
                    rows.append(("Gender", str(row[key]), what, *ours, published))
    return rows


def _adversarial(run: RunFolder) -> list[_Row]:
    # The published defence is on the embeddings' own dimensions, of requests smuggled into one image.
    result = _result(run, "adversarial-one-image", "raw") or _result(run, "adversarial", "raw")
    if result is None:
        return []
    frame = result.tables["success"]
    return [
        ("Adversarial images", str(row["set"]), "success", row["rate"], row["rate_low"], row["rate_high"],
         row["published"])
        for row in frame[frame["published"].notna()].to_dict("records")
    ]  # fmt: skip


def _result(run: RunFolder, study: str, representation: str) -> StudyResult | None:
    """A study's result, if there is one with tables."""
    folder = run.study(study) / representation
    if not (folder / RESULT_NAME).exists():
        return None
    result = StudyResult.load(folder)
    return result if result.tables else None
