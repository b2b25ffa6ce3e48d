"""``modalens compare``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, takes
from modalens.runs.comparing import CompareConfig


@takes(CompareConfig)
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs of the same pairs.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page and tables (default: compare/ in the first run).")
    ] = None,
    latex: Annotated[
        bool, typer.Option(help="Print the numbers as a LaTeX table, and write it too.")
    ] = False,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Compare models, seeds or dictionaries on the pairs that their runs share: a page, tables and LaTeX.

    Pairs are joined by id. Features of two models are matched by dimension (embeddings), by decoder rows (dictionaries
    of the same embeddings) or by activations. Sets of features that differ in their seed alone are averaged.

    --json prints "page" (path), "pairs", "notes" and the rows of "summary", "values", "couples" and "changed".
    """
    from modalens.cli.output import print_frame, print_json, print_sentences
    from modalens.report.compared import statements
    from modalens.runs.comparing import compare as compared
    from modalens.runs.layout import RunFolder
    from modalens.store.lock import alone_in

    where = RunFolder.find(runs[0]).folder / "compare" if out is None else out
    found = compared(*runs, config=CompareConfig(**config))
    with alone_in(where):
        page = found.save(where, latex)
    if json:
        tables = {
            name: getattr(found, name).to_dict("records")
            for name in ("summary", "values", "couples", "changed")
        }
        print_json({"page": str(page), "pairs": found.pairs, "notes": list(found.notes), **tables})
        return
    if latex:
        print(found.to_latex())
        return
    print_frame(found.wide(), "Value (95 % interval) [baseline]")
    print_sentences(statements(found), "- ")
    print(f"Page: {page.resolve()}")
