"""The folder in which tutorials are executed, with the demo's run in it."""

import subprocess
import sys
from pathlib import Path

_FOLDER = Path("build/tutorials")
_DEMO = Path("runs/demo")


def on_pre_build(**_: object) -> None:
    """Put the demo's run there: the one of ``make demo`` where there is one, else a smaller one, which is kept."""
    sys.path.insert(0, str(Path(__file__).parent))  # blocks of pages import the helpers beside this file
    run = _FOLDER / _DEMO
    run.parent.mkdir(parents=True, exist_ok=True)
    if run.is_symlink():
        run.unlink()
    if (_DEMO / "report" / "report.html").is_file() and not run.exists():
        run.symlink_to(_DEMO.resolve(), target_is_directory=True)
    else:
        _smaller_demo(run)


def _smaller_demo(run: Path) -> None:
    """The demo encoder on every emoji, with fewer features, and without twins, galleries and studies."""
    sae = ["--n-features", "256", "--k", "8", "--steps", "200", "--batch-size", "512"]
    own = ["--image-embedder", "own", "--text-embedder", "own"]
    for command in (
        ["embed", "openmoji", "--vlm", "demo", "--out", run / "embeddings"],
        ["score", run, "--groups", "concept"],
        ["train", "sae", run, *sae, "--out", run / "features" / "sae"],
        ["interpret", run, *own, "--shuffles", "100"],
    ):
        subprocess.run(["modalens", *map(str, command)], check=True, stdout=subprocess.DEVNULL)
