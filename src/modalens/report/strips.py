"""Strips: one line for every feature, at its score."""

from typing import Any

import numpy as np

from modalens.report.charts import ScoreSet
from modalens.report.naming import ROLES, Naming, count


def strip(shown: ScoreSet, naming: Naming) -> dict[str, Any]:
    """A line per distinct score, in thousandths, by class; the rare classes are drawn last, on top."""
    codes = shown.codes
    paths = {}
    for code in (1, 0, 2):
        places = np.unique(np.round(1000 * shown.score[codes == code]).astype(int))
        if len(places):
            paths[ROLES[code]] = "".join(f"M{place} 0v10" for place in places)
    counts = np.bincount(codes, minlength=4)
    classes = ", ".join(f"{count(int(counts[code]))} {naming.short(ROLES[code])}" for code in range(3))
    return {"name": shown.name, "paths": paths, "alt": f"Scores of {shown.name}: {classes}"}
