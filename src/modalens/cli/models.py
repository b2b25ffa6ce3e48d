"""``modalens models``."""

from pathlib import Path
from typing import Annotated

import typer

from modalens.cli.options import Json


def models(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or stores, of any pairs.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page and tables (default: models/ in the first run).")
    ] = None,
    json: Json = False,
) -> None:
    """Put models side by side, each on the pairs of its own run: a row each, and their layers as curves.

    Baselines stand below their run. Runs that were not scored are scored first. Rows of hidden states of a generative
    model are drawn over its layers.

    --json prints "page" (path) and the rows of "models".
    """
    from modalens.cli.output import print_frame, print_json, print_sentences
    from modalens.report.models import save_models, shown_models, statements
    from modalens.runs.layout import RunFolder
    from modalens.runs.models_table import models_table
    from modalens.store.lock import alone_in

    where = RunFolder.find(runs[0]).folder / "models" if out is None else out
    table = models_table(runs)
    with alone_in(where):
        page = save_models(table, where)
    if json:
        print_json({"page": str(page), "models": table.to_dict("records")})
        return
    # One column a model: a terminal is narrower than the numbers of one are many.
    turned = shown_models(table).set_index("run").T.reset_index(names="")
    print_frame(turned, "Value (95 % interval) [baseline]")
    print_sentences(statements(table), "- ")
    print(f"Page: {page.resolve()}")
