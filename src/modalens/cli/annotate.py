"""``modalens annotate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.annotating import AnnotateConfig


@takes(AnnotateConfig)
def annotate(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page (default: annotation/ in the run).")
    ] = None,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Write a page where a person says whether features are of one modality, both or neither.

    The class is hidden; answers are saved from the page and compared by modalens agreement.

    --json prints "page" and "key" (paths; the key holds the classes).
    """
    from modalens.cli.output import print_json
    from modalens.runs.annotating import annotate_run
    from modalens.runs.layout import RunFolder

    page = annotate_run(RunFolder.find(run), AnnotateConfig(**config), out=out)
    if json:
        print_json({"page": str(page), "key": str(page.with_name("key.json"))})
    else:
        print(f"Page: {page.resolve()}")
        print(f"Key, not for raters: {page.with_name('key.json').resolve()}")
