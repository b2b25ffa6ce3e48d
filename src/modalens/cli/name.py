"""``modalens name``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.choice import ScopeOfOne
from modalens.runs.naming import NameConfig


@takes(ScopeOfOne, NameConfig)
def name(
    run: RunPath,
    vocabulary: Annotated[Path | None, typer.Option(help="Text file of words, one a line.")] = None,
    vocabulary_embeddings: Annotated[
        Path | None,
        typer.Option(help=".npy file of their embeddings (default: the run's model embeds them)."),
    ] = None,
    json: Json = False,
    *,
    scope: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Name features, and score each name on held-out pairs beside names of other features.

    --json prints "representation", "summary" (one row a way of naming) and "names" (one row a feature; "stands" where
    the name tells its samples better than other features' names do).
    """
    from modalens.cli.output import frame_table, print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.run import Run

    opened = Run(RunFolder.find(run))
    found = opened.name(
        scope["features"], vocabulary=vocabulary, vocabulary_embeddings=vocabulary_embeddings, **config
    )
    if json:
        print_json({"summary": list(found.summary), "names": found.table.to_dict("records")})
        return
    import pandas as pd
    from rich.console import Console

    shown = pd.DataFrame(found.summary).set_index("way").T.reset_index()
    Console().print(frame_table(shown, "Names on held-out pairs, beside shuffled names"))
    print("Next: modalens explain shows the names that stand.")
