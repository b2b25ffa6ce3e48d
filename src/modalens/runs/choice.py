"""Which representation of a run is meant by ``--features``, wherever it is asked."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modalens.errors import InputError
from modalens.options import Options, option

RAW = "raw"
# Stands between the name of features and the kind of dictionary that is their baseline, as in ``sae+pca``.
OF = "+"
logger = logging.getLogger(__name__)


def features_option(omitted: str) -> Any:
    """The name of a representation; ``omitted`` says which is taken without one."""
    return option(None, f"Which features: raw, or the name of a learned set (default: {omitted}).")


@dataclass(frozen=True)
class Scope(Options):
    """On which representations of a run something is done.

    Attributes
    ----------
    features
        See :func:`one_of` and :func:`all_of`.
    baselines
        Whether it is done on the run's baselines too.
    """

    features: str | None = features_option("all of them")
    baselines: bool = option(True, "Do it on the run's baselines too.")


@dataclass(frozen=True)
class ScopeOfOne(Options):
    """On which one representation of a run something is done."""

    features: str | None = features_option("the only learned set")


def one_of(wanted: str | None, learned: Sequence[str]) -> str:
    """The one representation to work on.

    Parameters
    ----------
    wanted
        ``raw``, the name of a learned set, or None for the only learned set; ``raw`` where nothing was learned.
    learned
        Names of the sets of features that were learned on the run.

    Raises
    ------
    InputError
        If there is none of this name, or none is named and several were learned.
    """
    if wanted is not None:
        return _known(wanted, learned)
    own = [name for name in learned if OF not in name]  # a baseline is taken where it is named
    if len(own) > 1:
        raise InputError(f"The run has several sets of features; choose with --features: {_list(own)}.")
    if not own:
        logger.warning("No features were learned on this run; its embeddings (raw) are taken.")
        return RAW
    return own[0]


def all_of(wanted: str | None, learned: Sequence[str]) -> list[str]:
    """The representations to work on: the one that is named, else all, ``raw`` first.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    return [RAW, *learned] if wanted is None else [_known(wanted, learned)]


def _known(wanted: str, learned: Sequence[str]) -> str:
    if wanted not in (RAW, *learned):
        raise InputError(f"The run has no features {wanted!r}; it has {_list(learned)}.")
    return wanted


def _list(learned: Sequence[str]) -> str:
    return ", ".join((RAW, *learned))
