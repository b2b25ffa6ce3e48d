"""Command-line options from the dataclasses that define them."""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import ArgumentInfo

from modalens.errors import InputError, ModalensError
from modalens.options import About, Options, about_of, checked, is_required, shortly

Command = Callable[..., Any]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
RunPath = Annotated[Path, typer.Argument(help="Folder of a run, or a store.")]


def takes(*configs: type[Options], leave_out: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command one option for each field of some configurations.

    The command's last parameters take the values, one mapping from field to checked value for each class. Two
    classes that share a field (say, ``seed``) share the option.

    Parameters
    ----------
    configs
        Classes of options.
    leave_out
        Fields that the command fills in itself.
    """

    def decorate(command: Command) -> Command:
        parameters = list(inspect.signature(command).parameters.values())
        own, taking = parameters[: -len(configs)], parameters[-len(configs) :]
        fields = {config: fields_of(config, leave_out) for config in configs}
        options = {name: _parameter(*each) for found in fields.values() for name, each in found.items()}

        @functools.wraps(command)
        def run(**given: Any) -> Any:
            arguments = {each.name: given[each.name] for each in own}
            for parameter, config in zip(taking, configs, strict=True):
                arguments[parameter.name] = {
                    name: _value(name, given[name], hint, about_of(field))
                    for name, (field, hint) in fields[config].items()
                }
            return command(**arguments)

        words = [each for each in own if _is_argument(each)]
        flags = [each for each in own if not _is_argument(each)]
        keyword = [each.replace(kind=each.KEYWORD_ONLY) for each in (*words, *options.values(), *flags)]
        run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in keyword}
        return run

    return decorate


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a command was given an option, which otherwise has its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def fields_of(
    config: type[Options], leave_out: tuple[str, ...] = ()
) -> dict[str, tuple["dataclasses.Field[Any]", Any]]:
    """The fields of a configuration with their types, by name."""
    hints = typing.get_type_hints(config)
    return {
        field.name: (field, hints[field.name])
        for field in dataclasses.fields(config)
        if field.name not in leave_out
    }


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(isinstance(each, ArgumentInfo) for each in getattr(parameter.annotation, "__metadata__", ()))


def _parameter(field: "dataclasses.Field[Any]", hint: Any) -> inspect.Parameter:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind = next(each for each in kinds if each is not type(None))
    default: Any = ... if is_required(field) else field.default
    if typing.get_origin(kind) is tuple:
        numbers = _are_numbers(kind)
        default = ([",".join(map(str, default))] if numbers else list(default)) if default else None
        kind = list[str if numbers else typing.get_args(kind)[0]]  # type: ignore[misc]
        kinds = (kind, type(None))
    flag = "--" + field.name.replace("_", "-")
    names = [flag] if kind is not bool or not default else [f"{flag}/--no-{flag[2:]}"]
    annotation = kind | None if type(None) in kinds else kind
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is ... else default,
        annotation=Annotated[annotation, typer.Option(*names, help=help_of(about_of(field)))],
    )


def help_of(about: About) -> str:
    """What is said of an option: its help, unit, range and choices."""
    names = about.names()
    details = [about.unit, about.range(), None if names is None else "one of " + ", ".join(names)]
    more = "; ".join(each for each in details if each)
    return f"{about.help.rstrip('.')} ({more})." if more else about.help


def _value(name: str, value: Any, hint: Any, about: About) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and any(typing.get_origin(kind) is tuple for kind in kinds):
        value = ()
    try:
        if any(_are_numbers(kind) for kind in kinds):
            value = _numbers(name, value)
        return checked(name, value, hint, about)
    except ModalensError as error:
        raise InputError(f"--{name.replace('_', '-')}: {error}") from error


def _are_numbers(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is int


def _numbers(name: str, given: Sequence[str]) -> tuple[int, ...]:
    """Whole numbers with commas between, or one option each."""
    parts = [part.strip() for each in given for part in each.split(",")]
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        raise InputError(
            f"{name} is {shortly(','.join(given))}; give whole numbers with commas between."
        ) from None
