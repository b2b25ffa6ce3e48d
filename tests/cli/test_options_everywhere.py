"""Every option has one default, range and choice: on the command line, in recipes and in Python."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import modalens as ml
from modalens.cli.app import app
from modalens.engine.engines import EngineConfig, open_engine
from modalens.errors import ModalensError
from modalens.features import TrainConfig
from modalens.features.registry import commands as learners
from modalens.features.registry import config_class, kind_named, kinds
from modalens.options import DEFAULT_ESTIMATOR, DEFAULT_RULE, Options, about_of, is_required
from modalens.recipes.steps import STEPS, configs_of
from modalens.runs.encoding import EncodeConfig
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.scoring import ScoreConfig
from modalens.runs.shards import EmbedConfig
from modalens.studies.registry import find_study, study_names

# What a command line has and no configuration: where things are, how they are printed, and who does the work.
_OF_COMMANDS = {
    "json",
    "out",
    "help",
    "run",
    "data",
    "source",
    "estimator",
    "given",
    "smoke",
    "recipe",
    "vlm",
}
_OF_ENGINES = {field.name for field in dataclasses.fields(EngineConfig)}


def _steps() -> Iterator[tuple[list[str], str, Mapping[str, Any]]]:
    """A command, the step of a recipe that does the same, and the settings that choose its options."""
    for name in ("embed", "score", "interpret", "name", "report"):
        yield [name], name, {}
    for name in learners():
        yield ["train", name], "train", {"learner": name}
    for name in ("sweep", "baselines"):
        yield ["train", name], name, {}
    for name in study_names():
        yield ["study", name], "study", {"study": name}


def _options_of(words: list[str]) -> dict[str, Any]:
    command: Any = app
    for word in words:
        command = command.commands[word]
        command = command.whole() if hasattr(command, "whole") else command
    return {each.name: each for each in command.params}


def _fields_of(do: str, settings: Mapping[str, Any]) -> dict[str, "dataclasses.Field[Any]"]:
    kind = STEPS[do]
    return {name: field for each in kind.classes(settings) for name, field in kind.keys(each).items()}


CASES = [pytest.param(*each, id="-".join(each[0])) for each in _steps()]


@pytest.mark.parametrize(("words", "do", "settings"), CASES)
def test_a_command_and_its_step_have_the_same_options_and_defaults(
    words: list[str], do: str, settings: Mapping[str, Any]
) -> None:
    shown, keys = _options_of(words), _fields_of(do, settings)
    only_keys = set(keys) - set(shown) - set(settings) - {"pairs", "pairs_of", "shuffle_pairs", "recommended"}
    assert only_keys <= _OF_ENGINES, "keys of recipes that are no options of the command"
    only_shown = set(shown) - set(keys) - _OF_COMMANDS
    assert only_shown <= _OF_ENGINES, "options of the command that are no keys of recipes"
    for name in set(shown) & set(keys):
        if is_required(keys[name]):
            continue
        expected = keys[name].default
        found = shown[name].default
        if isinstance(expected, tuple) and expected and isinstance(expected[0], int):
            assert found == [",".join(map(str, expected))], name
        elif isinstance(expected, tuple):
            assert tuple(found or ()) == expected, name
        else:
            assert found == expected, name


@pytest.mark.parametrize(("words", "do", "settings"), CASES)
def test_a_value_out_of_range_is_refused_by_both(
    words: list[str], do: str, settings: Mapping[str, Any], run: Callable[..., tuple[int, str, str]]
) -> None:
    checked = 0
    required = {"pairs": "openmoji", "vlm": "demo"} if do == "embed" else {}
    for name, field in _fields_of(do, settings).items():
        about = about_of(field)
        if about.least is None and about.over is None and about.choices is None:
            continue
        low = about.least - 1 if about.least is not None else about.over
        value: Any = "no-such-name" if about.choices is not None else low
        if name in settings or (about.choices is None and value is None):
            continue
        if about.choices is None and isinstance(field.default, int):
            value = int(value)
        with pytest.raises(ModalensError):
            configs_of(do, {**required, **settings, name: value}, "The step")
        flag = f"--{name.replace('_', '-')}"
        if name in _options_of(words):
            code, _, err = run(*words, "nowhere", f"{flag}={value}")
            assert code == 2, f"{words} {flag}={value}"
            assert name.replace("_", " ") in err.replace("_", " ").replace("-", " ")
            checked += 1
    assert checked or do in ("report",)


# A Python call, and the configuration that its keywords are the fields of.
CALLS: list[tuple[Callable[..., Any], type[Options], dict[str, str]]] = [
    (ml.embed, EmbedConfig, {}),
    (ml.embed, EngineConfig, {}),
    (ml.encode_store, EncodeConfig, {}),
    (open_engine, EngineConfig, {"name": "engine"}),
    (ml.modality_dominance, ScoreConfig, {}),
    (ml.modality_gap, ScoreConfig, {}),
    (ml.monosemanticity, InterpretConfig, {}),
    (ml.bridges, InterpretConfig, {}),
    (ml.top_samples, InterpretConfig, {}),
    (ml.measure_retrieval, ScoreConfig, {}),
]


@pytest.mark.parametrize(
    ("call", "config", "names"), CALLS, ids=[f"{each[0].__name__}-{each[1].__name__}" for each in CALLS]
)
def test_python_calls_have_the_defaults_of_their_options(
    call: Callable[..., Any], config: type[Options], names: dict[str, str]
) -> None:
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    seen = 0
    for parameter in inspect.signature(call).parameters.values():
        name = names.get(parameter.name, parameter.name)
        if name in fields and parameter.default is not parameter.empty:
            assert parameter.default == fields[name], parameter.name
            seen += 1
    assert seen


def test_there_is_one_default_class_rule_and_estimator() -> None:
    assert DEFAULT_RULE == "twofold"
    for parameter in inspect.signature(ml.modality_dominance).parameters.values():
        if parameter.name in ("rule", "estimator"):
            assert parameter.default == {"rule": DEFAULT_RULE, "estimator": DEFAULT_ESTIMATOR}[parameter.name]
    for name in study_names():
        fields = {field.name: field.default for field in dataclasses.fields(find_study(name).config)}
        assert fields.get("rule", DEFAULT_RULE) == DEFAULT_RULE


@pytest.mark.parametrize("learner", learners())
def test_fitting_has_the_learners_rate(learner: str) -> None:
    kind = kind_named(kinds(learner)[0])
    assert {field.name: field.default for field in dataclasses.fields(TrainConfig)}["lr"] is None
    assert TrainConfig().rates([config_class(learner)(d=4)]) == [kind.lr]
