"""Run studies on every representation of a run, and of its baselines, and keep their results."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modalens
from modalens.engine.representations import Representation, representations
from modalens.engine.run import LearnedFeatures, Run
from modalens.errors import ModalensError
from modalens.features import SparseAutoencoder
from modalens.features.sharing import load_features
from modalens.studies.removal import removal
from modalens.studies.result import RESULT_NAME, StudyResult
from modalens.studies.stability import Retrained, stability

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyConfig:
    """What studies need to know beyond the run.

    Attributes
    ----------
    label
        Metadata column that classifiers read.
    rule
        Class rule of the index sets.
    draws
        Random control sets.
    seed
        Seed of every draw.
    """

    label: str = "category"
    rule: str = "twofold"
    draws: int = 20
    seed: int = 0


def _removal(each: Representation, config: StudyConfig, source: Mapping[str, Any]) -> StudyResult:
    return removal(
        each.image,
        each.text,
        each.column(config.label),
        each.mds,
        rule=config.rule,
        draws=config.draws,
        groups=each.groups(),
        seed=config.seed,
        source=source,
    )


def _stability(each: Representation, config: StudyConfig, source: Mapping[str, Any]) -> StudyResult:
    others = {}
    # Only features with a decoder can be recognised in another training.
    if each.directions is not None and each.embeddings is not None:
        for where in LearnedFeatures(each.folder).seeds():
            model = load_features(where.folder)
            if isinstance(model, SparseAutoencoder):
                image, text = (
                    model.encode(getattr(each.embeddings, side).pick(each.rows), side)
                    for side in ("image", "text")
                )
                others[f"seed {where.name}"] = Retrained(image, text, model.W_dec.numpy())
    return stability(
        each.image,
        each.text,
        groups=each.groups(),
        decoder=each.directions,
        others=others,
        seed=config.seed,
        source=source,
    )


# Studies of one representation at a time.
STUDIES: dict[str, Callable[[Representation, StudyConfig, Mapping[str, Any]], StudyResult]] = {
    "removal": _removal,
    "stability": _stability,
}


def run_study(
    run: Run, name: str, config: StudyConfig | None = None, *, out: Path | None = None, baselines: bool = True
) -> dict[str, StudyResult]:
    """Run a study on every representation of a run; what was done in the same way before is kept.

    Parameters
    ----------
    run
        The run.
    name
        One of :data:`STUDIES`.
    config
        What the study needs to know.
    out
        Folder of the results, one folder a representation in it; ``studies/NAME`` in the run by default.
    baselines
        Whether to run it on the run's baselines too (into their own ``studies/NAME``).

    Returns
    -------
    dict
        The results of the run itself by representation.

    Raises
    ------
    ModalensError
        If there is no such study, or the run lacks what it needs.
    """
    if name not in STUDIES:
        raise ModalensError(f"There is no study {name!r}; there are {', '.join(STUDIES)}.")
    config = config or StudyConfig()
    own = representations(run)
    if baselines:
        for kind, baseline in run.baselines():
            for each in representations(baseline, own[0].scores.config):
                logger.info("Study %s of %s, %s", name, each.name, kind)
                _kept_or_made(name, each, config, baseline.study(name) / each.name)
    folder = run.study(name) if out is None else out
    found = {}
    for each in own:
        logger.info("Study %s of %s", name, each.name)
        found[each.name] = _kept_or_made(name, each, config, folder / each.name)
    return found


def _kept_or_made(name: str, each: Representation, config: StudyConfig, folder: Path) -> StudyResult:
    source = {"modalens": modalens.__version__, "study": vars(config), **each.about()}
    source = json.loads(json.dumps(source))  # as a file gives it back
    if (folder / RESULT_NAME).exists():
        result = StudyResult.load(folder)
        if result.source == source:
            return result
    result = STUDIES[name](each, config, source)
    result.save(folder)
    return result
