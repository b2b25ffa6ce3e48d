"""``modalens name``."""

from typing import Any

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.choice import ScopeOfOne
from modalens.runs.naming import NameConfig, NameFrom


@takes(ScopeOfOne, NameFrom, NameConfig)
def name(
    run: RunPath,
    json: Json = False,
    *,
    scope: dict[str, Any],
    words: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Name features, and score each name on held-out pairs beside names of other features.

    --json prints "summary" (one row a way of naming) and "names" (one row a feature; "stands" where the name tells its
    samples better than other features' names do).
    """
    from modalens.cli.output import print_frame, print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.run import Run

    opened = Run(RunFolder.find(run))
    found = opened.name(scope["features"], **words, **config)
    if json:
        print_json({"summary": list(found.summary), "names": found.table.to_dict("records")})
        return
    import pandas as pd

    shown = pd.DataFrame(found.summary).astype(object).set_index("way").T.reset_index(names="")
    print_frame(shown, "Names on held-out pairs, beside shuffled names")
    print("Next: modalens report and modalens explain show the names that stand.")
