"""What a report can show of a run, and what it cannot: results of other inputs, half done or damaged ones."""

from dataclasses import dataclass, field

from modalens.runs.choice import OF
from modalens.runs.interpretation import Interpretation
from modalens.runs.interpreting import FOLDER, find_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.representations import RAW, Representation, find_representations
from modalens.runs.scoring import ScoreConfig
from modalens.runs.studying import find_studies
from modalens.studies.result import StudyResult

# How people write the names of representations; others go by their folder.
_NAMES = {RAW: "Raw", "sae": "SAE", "ncl": "NCL"}
_KINDS = {
    "frozen_decoder": "frozen decoder",
    "frozen_encoder": "frozen encoder",
    "soft_frozen": "soft-frozen",
    "pca": "PCA",
    "ica": "ICA",
    "nmf": "NMF",
}


def written(name: str) -> str:
    """A representation's name as people write it."""
    own, is_baseline, kind = name.partition(OF)
    if is_baseline:
        return f"{written(own)}, {_KINDS.get(kind, kind)}"
    return _NAMES.get(name, name)


@dataclass
class Shown:
    """What there is to show of one run.

    Attributes
    ----------
    representations
        The embeddings, the features named sae and ncl, then others by name.
    interpretations
        By representation.
    studies
        (representation, result), by study, then in the order of the representations.
    left_out
        (what, why) of everything else that the run holds; why is a sentence or two that say what to run.
    """

    representations: list[Representation]
    interpretations: dict[str, Interpretation] = field(default_factory=dict)
    studies: list[tuple[str, StudyResult]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def find_shown(run: RunFolder, config: ScoreConfig | None = None) -> Shown:
    """Everything of a run that follows from its embeddings as they are now, scored now where that was not done.

    Parameters
    ----------
    run
        The run.
    config
        How scores must have been made; as it was done last by default.

    Raises
    ------
    ModalensError
        If the embeddings are damaged, or cannot be scored in this way.
    """
    found = find_representations(run, config)
    shown = Shown(sorted(found.representations, key=lambda each: _order(each.name)))
    shown.left_out += [(f"features {written(name)}", why) for name, why in found.left_out]
    for each in shown.representations:
        _add_interpretation(shown, each)
    results, left_out = find_studies(run, shown.representations)
    results.sort(key=lambda found: (found[0], _order(found[1])))
    shown.studies = [(name, result) for _, name, result in results]
    shown.left_out += left_out
    return shown


def _order(name: str) -> tuple[int, str]:
    own = name.partition(OF)[0]
    return list(_NAMES).index(own) if own in _NAMES else len(_NAMES), name


def _add_interpretation(shown: Shown, each: Representation) -> None:
    found = find_interpretation(each)
    folder = each.folder / FOLDER
    if isinstance(found, Interpretation):
        shown.interpretations[each.name] = found
    elif found is not None:
        shown.left_out.append((f"the interpretation of {written(each.name)}", found))
    elif any(folder.glob("*.parquet")):
        why = f"What lies in {folder} does not say what it was made from; run modalens interpret to make it again."
        shown.left_out.append((f"the interpretation of {written(each.name)}", why))
