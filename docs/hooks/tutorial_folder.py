"""The folder in which tutorials are executed, with the demo's run in it."""

import sys
from pathlib import Path

_FOLDER = Path("build/tutorials")
_DEMO = Path("runs/demo")


def on_pre_build(**_: object) -> None:
    """Empty the folder, and put the demo's run there: the one of ``make demo``, else a smaller one."""
    sys.path.insert(0, str(Path(__file__).parent))  # blocks of pages import the helpers beside this file
    run = _FOLDER / _DEMO
    run.parent.mkdir(parents=True, exist_ok=True)
    if (run / "report" / "report.html").is_file():
        return
    if (_DEMO / "report" / "report.html").is_file():
        run.symlink_to(_DEMO.resolve(), target_is_directory=True)
    else:
        _smaller_demo(run)


def _smaller_demo(run: Path) -> None:
    """The demo with little training and without its studies."""
    from dataclasses import replace

    from modalens.demo.run import DemoPlan, run_demo

    whole = DemoPlan()
    plan = replace(
        whole,
        sae=replace(whole.sae, steps=100),
        ncl=replace(whole.ncl, steps=50),
        interpretation=replace(whole.interpretation, shuffles=100),
        studies=(),
    )
    run_demo(run, plan)
