"""Dictionaries to hold learned features against: random in part, or by classical factorisations, of the same size.

What a trained dictionary shows as well as these, it does not owe to its training (Korznikov et al. 2026, arXiv
2602.14111; Heap et al. 2025, arXiv 2501.17727).
"""

import logging
from dataclasses import dataclass, fields, replace

from modalens.errors import InputError, ModalensError
from modalens.features import SAEConfig, TrainConfig
from modalens.options import Options, option
from modalens.runs.choice import RAW, one_of
from modalens.runs.layout import LearnedFeatures, RunFolder
from modalens.runs.learning import Learned, measure_learned, train_on
from modalens.runs.scoring import score_into
from modalens.store.kept import read_inputs

logger = logging.getLogger(__name__)

KINDS = ("frozen_decoder", "frozen_encoder", "soft_frozen", "pca", "ica", "nmf")
_SIGNED = ("pca", "ica")


@dataclass(frozen=True)
class BaselinesConfig(Options):
    """Which dictionaries, and of which features they have the size.

    Attributes
    ----------
    like
        The features that they are baselines of.
    kind
        Which; all by default.
    """

    like: str | None = option(
        None, "Learned features to be held against them (default: the only learned set)."
    )
    kind: tuple[str, ...] = option((), "Which baselines; may be repeated (default: all).", choices=KINDS)


def train_baselines(run: RunFolder, config: BaselinesConfig | None = None) -> dict[str, Learned]:
    """Make the dictionaries that an autoencoder of a run is held against, encode with them and score; kept.

    They have its number of features and of active ones, its standardisation, pairs, steps and seed, and lie in its
    folder. PCA and ICA of narrow embeddings have at most two features a dimension.

    Parameters
    ----------
    run
        The run.
    config
        Which.

    Returns
    -------
    dict
        By kind.

    Raises
    ------
    ModalensError
        If there are no such features, or they are no autoencoder.
    """
    config = config or BaselinesConfig()
    learned = [each.name for each in run.all_learned()]
    if not learned:
        raise InputError(
            "No features were learned on this run, so there are none to hold baselines against; run modalens train "
            "sae first."
        )
    name = one_of(config.like, learned)
    if name == RAW:
        raise InputError("The embeddings are a baseline themselves; name learned features with --like.")
    store = run.store()
    shape, training, split = _settings(run.learned(name))
    scoring = score_into(run.scores, store).config
    found = {}
    for kind in config.kind or KINDS:
        most = 2 * shape.d if kind in _SIGNED else shape.n_features
        own = replace(shape, kind=kind, n_features=min(shape.n_features, most))
        if own.n_features < shape.n_features:
            logger.warning(
                "%s has %d features, as the embeddings have width %d", kind, own.n_features, shape.d
            )
        where = run.learned(name).baseline(kind)
        logger.info("Baseline %s", where.name)
        train_on(own, store, training, where.folder, split=split)
        found[kind] = measure_learned(where, store, scoring)
    return found


def _settings(where: LearnedFeatures) -> tuple[SAEConfig, TrainConfig, str | None]:
    """The size and the schedule of a trained autoencoder, from its record."""
    inputs = read_inputs(where.folder)
    if inputs is None:
        raise InputError(f"No record says how the features {where.name} were trained; train them again.")
    if "imported" in inputs:
        raise InputError(
            f"The features {where.name} were trained elsewhere, so nothing says how to train their baselines; name "
            "features of the run's own with --like."
        )
    try:
        (values,) = inputs["configuration"]
        known = {field.name for field in fields(SAEConfig)} & set(
            values
        )  # earlier versions had fewer options
        if "k" not in known:
            raise InputError(
                f"The features {where.name} are no autoencoder's, so they have no such baselines."
            )
        training = {
            field.name: inputs["training"][field.name]
            for field in fields(TrainConfig)
            if field.name in inputs["training"]
        }
        return SAEConfig(**{name: values[name] for name in known}), TrainConfig(**training), inputs["split"]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, ModalensError) as error:
        raise InputError(
            f"The record of the features {where.name} cannot be read ({error}); train them again."
        ) from error
