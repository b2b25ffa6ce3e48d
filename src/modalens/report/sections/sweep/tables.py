"""A sweep over dictionary sizes as tables."""

from typing import Any

import pandas as pd

from modalens.interpret.sweep import Sweep


def rows(sweep: Sweep) -> list[dict[str, Any]]:
    """The page's rows: one a configuration, the recommended one marked."""
    chosen = (sweep.choice.n, sweep.choice.k)
    return [
        {**{str(name): value for name, value in row.items()}, "chosen": (row["n"], row["k"]) == chosen}
        for row in sweep.summary.to_dict("records")
    ]


def sweep_tables(sweep: Sweep) -> dict[str, pd.DataFrame]:
    """The tables by file name."""
    return {"sweep": sweep.summary, "sweep_by_seed": sweep.table}
