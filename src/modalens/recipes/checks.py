"""What can be known of a recipe's steps before the first one runs, so that nobody learns of it after hours."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from modalens.errors import InputError
from modalens.pairs import load_pairs

# Settings that name another run of the recipe.
_RUNS = ("pairs_of", "declip", "removal")


def check_step(do: str, settings: Mapping[str, Any], runs: Collection[str]) -> None:
    """Refuse a step that is bound to fail.

    Parameters
    ----------
    do
        One of :data:`modalens.recipes.steps.STEPS`.
    settings
        All its settings, defaults included.
    runs
        Runs that the recipe makes.

    Raises
    ------
    InputError
        If its data or its checkpoint's file is not there, or it names a run that no step makes.
    """
    for name in _RUNS:
        if settings.get(name) is not None and settings[name] not in runs:
            raise InputError(
                f"{name} is {settings[name]!r}; no step makes it, the runs are {', '.join(runs)}."
            )
    if do in _CHECKS:
        _CHECKS[do](settings)


def _embed(settings: Mapping[str, Any]) -> None:
    load_pairs(settings["pairs"])
    kind, _, file = settings["vlm"].removeprefix("untrained:").partition(":")
    if kind == "declip" and not Path(file).expanduser().is_file():
        raise InputError(f"There is no DeCLIP checkpoint {file!r}; name the file with --set.")


_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {"embed": _embed}
