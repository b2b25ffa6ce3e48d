"""Recipes: the steps of a whole study in one YAML file, checked before anything runs."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from modalens.errors import InputError
from modalens.options import Options, shortly
from modalens.recipes.stand_ins import notes_on
from modalens.recipes.steps import STEPS, configs_of
from modalens.recipes.yaml_file import read_yaml
from modalens.store.fingerprints import fingerprint

_PARTS = ("name", "about", "needs", "inputs", "steps", "smoke")
# Beside the package where it is installed, at the top of a checkout.
_SHIPPED = (Path(__file__).with_name("shipped"), Path(__file__).resolve().parents[3] / "recipes")
_NEEDS = {"hours": "hours", "disk_gb": "GB of disk", "gpu_gb": "GB of GPU memory"}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_RUN = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern})*")
_INPUT = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes
    ----------
    name
        What others call it.
    do
        One of :data:`modalens.recipes.steps.STEPS`.
    run
        The run it works on, by its folder; ``RUN/baselines/NAME`` is a baseline of another.
    after
        Steps whose outputs it reads.
    settings
        How to do it; no input is left to be filled in.
    """

    name: str
    do: str
    run: str
    after: tuple[str, ...]
    settings: Mapping[str, Any]

    def configs(self) -> tuple[Options, ...]:
        """Its settings as the configurations that it is done with."""
        return configs_of(self.do, self.settings, f"The step {self.name}")

    def all_settings(self) -> dict[str, Any]:
        """Its settings, with the defaults of those that are not given."""
        return {name: value for config in self.configs() for name, value in vars(config).items()}

    def key(self, keys: Mapping[str, str]) -> str:
        """Hash of everything its outputs follow from: settings, files they name, and the steps before it."""
        content = {
            "do": self.do,
            "run": self.run,
            "settings": dict(self.settings),
            "files": {name: fingerprint(value) for name, value in self.settings.items()},
            "after": {name: keys[name] for name in self.after},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Recipe:
    """Steps in the order in which they run, and what they need.

    ``smoke`` says whether stand-ins take the place of the inputs.
    """

    name: str
    about: str
    needs: Mapping[str, float]
    inputs: Mapping[str, str]
    steps: tuple[Step, ...]
    smoke: bool

    def needs_sentence(self) -> str:
        """The needs in one sentence."""
        if self.smoke:
            said = (
                "Stand-ins take the place of models and data: the numbers mean nothing, the steps are real."
            )
            return " ".join([said, *notes_on(self.inputs.values())])
        parts = [f"{self.needs[name]:g} {words}" for name, words in _NEEDS.items() if name in self.needs]
        return f"Needs about {', '.join(parts)}." if parts else "What it needs is not known."


def load_recipe(path: str | Path, *, smoke: bool = False, inputs: Mapping[str, str] | None = None) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    path
        The YAML file, or the name of a recipe that is installed with modalens.
    smoke
        Put in what its ``smoke`` part says: stand-ins for inputs, and smaller settings.
    inputs
        Inputs to take instead of the file's, by name.

    Raises
    ------
    InputError
        If the file cannot be read, or anything in it is missing, unknown or of the wrong kind.
    """
    path = Path(path)
    if not path.suffix and not path.exists():
        shipped = (folder / f"{path}.yaml" for folder in _SHIPPED)
        path = next((each for each in shipped if each.is_file()), path)
    document = read_yaml(path, f"The recipe {path}")
    parts = _mapping(document, f"The recipe {path}")
    _known(parts, _PARTS, f"The recipe {path}")
    light = _part(parts, "smoke") if smoke else {}
    _known(light, ("inputs", "settings"), "smoke")
    if smoke and not light:
        raise InputError(f"The recipe {path} has no smoke part; run it without --smoke.")
    known, given = _texts(_part(parts, "inputs")), _texts(_part(light, "inputs"))
    given |= dict(inputs or {})
    _known(given, tuple(known), f"The inputs of {path}")
    lighter = _part(light, "settings")
    steps: list[Step] = []
    for name, words in _part(parts, "steps").items():
        steps.append(_step(str(name), words, known | given, lighter, steps))
    if not steps:
        raise InputError(f"The recipe {path} has no steps; name at least one.")
    _check_features(steps)
    _known(lighter, (*STEPS, *(each.name for each in steps)), "The settings of smoke")
    needs = _part(parts, "needs")
    _known(needs, tuple(_NEEDS), "needs")
    for name, value in needs.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < inf:
            raise InputError(f"{name} of needs is {shortly(value)}; it must be a number, at least 0.")
    told = _texts({name: parts[name] for name in ("name", "about") if parts.get(name) is not None})
    return Recipe(
        told.get("name", path.stem), told.get("about", "").strip(), needs, known | given, tuple(steps), smoke
    )


def _step(
    name: str,
    words: Any,
    inputs: Mapping[str, str],
    lighter: Mapping[str, Any],
    before: Sequence[Step],
) -> Step:
    where = f"The step {name}"
    if not _NAME.fullmatch(name):
        raise InputError(f"{where} needs a name of small letters, digits and hyphens.")
    given = dict(_mapping(words, where))
    do, run = given.pop("do", None), given.pop("run", None)
    if not isinstance(do, str) or do not in STEPS:
        raise InputError(f"{where} does {shortly(do)}; it must do one of {', '.join(STEPS)}.")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise InputError(
            f"{where} must name its run, in small letters, digits and hyphens, not {shortly(run)}."
        )
    after = given.pop("after", [])
    names = [each.name for each in before]
    if not isinstance(after, list) or any(each not in names for each in after):
        raise InputError(
            f"{where} comes after {shortly(after)}; list steps that stand before it: {', '.join(names)}."
        )
    for kind in (do, name):
        given |= _part(lighter, kind)
    settings = {str(key): _filled(value, inputs, where) for key, value in given.items()}
    if do == "train":  # so that two steps of a recipe never train into one folder
        settings.setdefault("name", name)
    configs_of(do, settings, where)
    return Step(name, do, run, tuple(after), settings)


def _check_features(steps: Sequence[Step]) -> None:
    """Refuse two steps that train features of one name on one run: the second would take the first's place."""
    trained: dict[tuple[str, str], str] = {}
    for step in steps:
        if step.do == "train":
            other = trained.setdefault((step.run, step.settings["name"]), step.name)
            if other != step.name:
                raise InputError(
                    f"The steps {other} and {step.name} both train features {step.settings['name']} on the run "
                    f"{step.run}; give them different names."
                )


def _filled(value: Any, inputs: Mapping[str, str], where: str) -> Any:
    """A setting with the inputs it names."""
    if isinstance(value, list):
        return [_filled(each, inputs, where) for each in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        if match[1] not in inputs:
            raise InputError(f"{where} asks for the input {match[1]!r}; there are {', '.join(inputs)}.")
        return inputs[match[1]]

    return _INPUT.sub(put, value)


def _part(parts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One part of a recipe; empty where it is not given."""
    found = parts.get(name)
    return {} if found is None else _mapping(found, name)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values that must be text; a number counts as it is written."""
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise InputError(f"{name} is {shortly(value)}; it must be text.")
    return {name: str(value) for name, value in values.items()}


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{what} must be names with values, not {shortly(value)}.")
    return value


def _known(given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{what} has no {name!r}; it takes {', '.join(known) or 'nothing'}.")
