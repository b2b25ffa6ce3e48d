"""Commands that are imported when they are asked for, so that the list of them shows at once."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Help in boxes and colours would import twice as much as the rest of the command line.
PLAIN: Any = None


class LazyCommand(TyperCommand):
    """A command, or a group of them, of which only the name and the summary are known yet.

    Parameters
    ----------
    name
        What it is called.
    summary
        One sentence for the list of commands.
    build
        Makes the whole command.
    """

    def __init__(self, name: str, summary: str, build: Callable[[], Any]) -> None:
        super().__init__(name, help=summary, short_help=summary, rich_markup_mode=PLAIN)
        self.whole = build

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the words after the name, as the whole command does."""
        return self.whole().make_context(info_name, args, parent=parent, **extra)


def in_module(name: str, summary: str, where: str) -> LazyCommand:
    """The command or group that "module:NAME" is."""

    def build() -> Any:
        module, _, attribute = where.partition(":")
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, TyperGroup) else command_of(name, found)

    return LazyCommand(name, summary, build)


def command_of(name: str, function: Callable[..., Any]) -> Any:
    """A command from a function whose annotations are its arguments and options."""
    app = typer.Typer(add_completion=False, rich_markup_mode=PLAIN)
    app.command(name)(function)
    return typer.main.get_command(app)


def group_of(name: str, summary: str, commands: Mapping[str, LazyCommand]) -> TyperGroup:
    """A group of commands; on its own it shows them."""
    return TyperGroup(
        name=name, help=summary, commands=dict(commands), no_args_is_help=True, rich_markup_mode=PLAIN
    )
