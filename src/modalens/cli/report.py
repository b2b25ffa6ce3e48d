"""``modalens report``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.reporting import ReportConfig


@takes(ReportConfig)
def report(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report (default: report/ in the run).")
    ] = None,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Write a run's report: one HTML page that opens offline, its figures and tables.

    Scores the run first if it has no scores. Every run under baselines/ is shown beside it. What modalens
    interpret and modalens study have found is shown too, with galleries of what features respond to.

    --json prints "report" (path).
    """
    from modalens.cli.output import print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.reporting import report_run

    path = report_run(RunFolder.find(run), ReportConfig(**config), out=out)
    if json:
        print_json({"report": str(path)})
    else:
        print(f"Report: {path.resolve()}")
