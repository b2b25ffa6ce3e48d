"""``modalens export``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.choice import ScopeOfOne
from modalens.runs.export_files import EXPORT
from modalens.runs.exporting import ATLAS, TARGETS, ExportConfig


@takes(ScopeOfOne, ExportConfig)
def export(
    run: RunPath,
    to: Annotated[str, typer.Option(help=f"What it is written for: {', '.join(TARGETS)}.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to (default: export/FORMAT in the run).")
    ] = None,
    json: Json = False,
    *,
    scope: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Write features and pairs for other tools: Embedding Atlas, Neuronpedia, SAELens, CSV or Parquet.

    --json prints "features" (the representation) and "files" (paths).
    """
    from modalens.cli.output import print_json
    from modalens.runs.exporting import export as write
    from modalens.runs.layout import RunFolder
    from modalens.runs.run import Run

    opened = Run(RunFolder.find(run))
    where = opened.folder / EXPORT / to if out is None else out
    each = opened.representation(scope["features"])
    files = write(each, to, where, ExportConfig(**config))
    if json:
        print_json({"features": each.name, "files": [str(path) for path in files]})
        return
    for path in files:
        print(path)
    if to == ATLAS:
        print(f"Next: embedding-atlas {files[0]} --text text --x x --y y")
