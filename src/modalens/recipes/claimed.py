"""The papers' claims held against several runs of one recipe."""

from collections.abc import Sequence

from modalens.interpret import Fidelity
from modalens.report.sections.claims import Claim, Evidence, claims_of
from modalens.runs.choice import OF
from modalens.runs.layout import RunFolder
from modalens.runs.shown import find_shown, written


def claims_of_runs(
    run: RunFolder, others: Sequence[RunFolder] = (), declip: Fidelity | None = None
) -> list[Claim]:
    """Every claim, measured on a run or, where the recipe makes a study on another one, there.

    Parameters
    ----------
    run
        The run whose features are interpreted.
    others
        Runs whose studies count too; their features are told by the name of the run.
    declip
        Fidelity of DeCLIP's dimensions on the run's pairs.

    Raises
    ------
    ModalensError
        If embeddings are damaged.
    """
    shown = find_shown(run)
    studies = [(written(name), result) for name, result in shown.studies if OF not in name]
    for other in others:
        found = find_shown(other).studies
        studies += [
            (f"{written(name)} of {other.folder.name}", result) for name, result in found if OF not in name
        ]
    fidelities = {
        written(name): each.fidelity for name, each in shown.interpretations.items() if OF not in name
    }
    modalities = shown.representations[0].mds.modalities
    return claims_of(Evidence(modalities, fidelities, studies, declip))
