"""``modalens explore``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, takes
from modalens.explore.config import ExploreConfig


@takes(ExploreConfig)
def explore(
    run: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Open a page on this machine: features, pairs, what fires for your own sentence or picture, steering.

    It ends with Ctrl-C or SIGTERM. What it makes (an index, ratings, edits) stays in the run.

    --json prints "address", with the token that lets the page write and embed, when the page answers.
    """
    from modalens.explore.server import serve

    def ready(address: str) -> None:
        if json:
            import json as text

            print(text.dumps({"address": address}), flush=True)
        else:
            print(f"Page: {address}\nIt ends with Ctrl-C.", flush=True)

    serve(run, ExploreConfig(**config), ready=ready)
