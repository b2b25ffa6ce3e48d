"""Interpretations with something missing, and reports on them alone."""

import dataclasses

import numpy as np

from modalens.report import InterpretedResult, ReportData
from modalens.report.sections.meaning import tables as meaning


def unscored(found: InterpretedResult) -> InterpretedResult:
    """The same with no feature scored in texts, and no one-sided feature."""
    fidelity = found.fidelity
    nothing = dict.fromkeys(("mean", "low", "high", "median", "chance"), np.nan)
    averages = [
        dataclasses.replace(each, features=0, **nothing) if each.modality == "text" else each
        for each in fidelity.averages
    ]
    missing = dict.fromkeys(("value", "low", "high", "null_mean", "null_low", "null_high", "p"), np.nan)
    fidelities = [dataclasses.replace(each, **missing) for each in fidelity.fidelities]
    none = {side: dict.fromkeys(meaning.VERDICTS, 0) for side in ("image", "text")}
    return dataclasses.replace(
        found,
        fidelity=dataclasses.replace(fidelity, averages=tuple(averages), fidelities=tuple(fidelities)),
        verdicts=none,
        shuffled_verdicts=none,
    )


def negative(found: InterpretedResult) -> InterpretedResult:
    """The same with averages under 0."""
    averages = [dataclasses.replace(each, mean=-0.5, low=-0.7, high=-0.3) for each in found.fidelity.averages]
    return dataclasses.replace(
        found,
        fidelity=dataclasses.replace(found.fidelity, averages=tuple(averages)),
        along=found.along.assign(value=-0.5, low=-0.7, high=-0.3),
    )


def only(data: ReportData, *found: InterpretedResult) -> ReportData:
    baselines = [dataclasses.replace(each, interpreted=[]) for each in data.baselines]
    main = dataclasses.replace(data.main, interpreted=found)
    return dataclasses.replace(data, main=main, baselines=baselines)
