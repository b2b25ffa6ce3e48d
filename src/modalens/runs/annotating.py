"""A page on which people say what the features of a run show."""

from dataclasses import dataclass
from pathlib import Path

from modalens.errors import InputError
from modalens.options import Options, option
from modalens.report.annotation import write_annotation
from modalens.runs.choice import features_option, one_of
from modalens.runs.galleries import collect_previews, make_gallery
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import RunFolder
from modalens.runs.representations import RAW, representations


@dataclass(frozen=True)
class AnnotateConfig(Options):
    """What people are asked about.

    Attributes
    ----------
    features
        The representation; see :func:`modalens.runs.choice.one_of`.
    max_features
        Features to ask about, as many of each class as there are.
    top
        Samples of each modality shown of a feature.
    seed
        Seed of the choice, the order and the random samples.
    """

    features: str | None = features_option("the only learned set")
    max_features: int = option(60, "Most features to ask about.", unit="features", least=1)
    top: int = option(9, "Samples of each modality shown of a feature.", unit="samples", least=1)
    seed: int = option(0, "Seed of the choice and the order.", least=0)


def annotate_run(run: RunFolder, config: AnnotateConfig | None = None, *, out: Path | None = None) -> Path:
    """Write ``annotate.html``, and ``key.json`` with the classes beside it.

    Parameters
    ----------
    run
        A run that was interpreted.
    config
        What to ask about.
    out
        Folder of the page; ``annotation/`` in the run by default.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If the features are not named and several were learned, or they were not interpreted.
    """
    config = config or AnnotateConfig()
    known = {each.name: each for each in representations(run)}
    name = one_of(config.features, [each for each in known if each != RAW])
    interpretation = load_interpretation(known[name])
    if interpretation is None:
        raise InputError(f"{name} was not interpreted; run modalens interpret {run.folder} first.")
    gallery = make_gallery(name, "", interpretation, top=config.top)
    return write_annotation(
        gallery,
        collect_previews(known[name].store, [gallery]),
        out or run.folder / "annotation",
        features=config.max_features,
        top=config.top,
        seed=config.seed,
    )
