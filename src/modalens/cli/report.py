"""``modalens report``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, takes
from modalens.runs.reporting import ReportConfig


@takes(ReportConfig)
def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run, a store, or a .json file of a joined store of three modalities or more."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report (default: report/ in the run, of a .json in the folder of its name)."
        ),
    ] = None,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Write a run's report: one HTML page that opens offline, its figures and tables.

    Scores the run first if it has no scores. Every run under baselines/ is shown beside it. What modalens
    interpret and modalens study have found is shown too, with galleries of what features respond to.

    Of a joined store the page has a triangle in place of a line, for the embeddings and for every set of features that
    modalens train learned on it, and the gap of each two modalities.

    --json prints "report" (path).
    """
    from modalens.cli.output import print_json
    from modalens.runs.joined import report_joined
    from modalens.runs.layout import RunFolder
    from modalens.runs.reporting import report_run

    how = ReportConfig(**config)
    if run.suffix == ".json":
        path = report_joined(run, how.title, out=out)
    else:
        path = report_run(RunFolder.find(run), how, out=out)
    if json:
        print_json({"report": str(path)})
    else:
        print(f"Report: {path.resolve()}")
