"""``modalens demo``."""

from pathlib import Path
from typing import Annotated

import typer

from modalens.cli.options import Json


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    studies: Annotated[
        bool, typer.Option("--studies", help="Run every study, not only the tests of the classes.")
    ] = False,
    json: Json = False,
) -> None:
    """Train the demo encoder on OpenMoji, learn and interpret features beside its twins', and report.

    Takes a few minutes the first time and asks no model hub: everything comes from installed packages.

    --json prints "run" and "report" (paths) and what modalens score prints of the demo encoder.
    """
    from modalens.cli.output import print_json, print_scores, summarise
    from modalens.demo.run import DemoPlan, run_demo
    from modalens.options import DEFAULT_ESTIMATOR
    from modalens.studies.class_removal.config import RemovalConfig
    from modalens.studies.registry import study_names

    plan = DemoPlan(studies=study_names(), curve_draws=RemovalConfig.curve_draws) if studies else DemoPlan()
    run, scores, report = run_demo(out, plan)
    summary = summarise(scores, DEFAULT_ESTIMATOR)
    if json:
        print_json({"run": str(run.folder), "report": str(report), **summary})
    else:
        print_scores(summary, "Demo encoder")
        print(f"Report: {report.resolve()}")
