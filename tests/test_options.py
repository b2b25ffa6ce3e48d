"""Options that are defined once: checks, and what the command line makes of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from modalens.cli.options import takes
from modalens.errors import ModalensError
from modalens.options import Options, option


@dataclass(frozen=True)
class _Config(Options):
    draws: int = option(20, "Random sets.", least=5)
    rate: float = option(1e-3, "Learning rate.", over=0)
    rule: str = option("twofold", "Class rule.", choices=("twofold", "mu_sigma"))
    folder: Path | None = option(None, "Where.")
    names: tuple[str, ...] = option((), "Names.")
    strict: bool = option(False, "Stop at once.")
    keep: bool = option(True, "Keep it.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"draws": 4}, "draws is 4; it must be at least 5"),
        ({"draws": True}, "draws is True; it must be a whole number"),
        ({"draws": 5.0}, "draws is 5.0"),
        ({"rate": 0}, "over 0"),
        ({"rate": float("nan")}, "over 0"),
        ({"rule": "x"}, "There is no rule 'x'; choose one of twofold, mu_sigma"),
        ({"names": "one"}, "must be a list"),
        ({"strict": 1}, "true or false"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ModalensError, match=words):
        _Config(**values)


def test_values_get_the_type_of_their_field() -> None:
    found = _Config(rate=1, folder="x", names=["a"])  # type: ignore[arg-type]
    assert (found.rate, found.folder, found.names) == (1.0, Path("x"), ("a",))
    assert isinstance(found.rate, float)


def test_unknown_options_are_named() -> None:
    with pytest.raises(ModalensError, match="The study has no option 'drws'; it takes draws, rate"):
        _Config.of(None, {"drws": 3}, "The study")


def test_the_command_line_reads_defaults_and_ranges_from_the_dataclass() -> None:
    app = typer.Typer()
    seen: list[Any] = []

    @app.command()
    @takes(_Config)
    def command(name: str, values: dict[str, Any]) -> None:
        seen.append((name, _Config(**values)))

    runner = CliRunner()
    assert runner.invoke(app, ["here"], catch_exceptions=False).exit_code == 0
    assert seen.pop() == ("here", _Config())
    given = ["here", "--draws", "7", "--names", "a", "--names", "b", "--strict", "--no-keep", "--folder", "f"]
    runner.invoke(app, given, catch_exceptions=False)
    assert seen.pop()[1] == _Config(7, names=("a", "b"), strict=True, keep=False, folder=Path("f"))
    shown = runner.invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "at least 5" in shown
    assert "one of twofold, mu_sigma" in shown
    with pytest.raises(ModalensError, match=r"--draws: draws is 2"):
        runner.invoke(app, ["here", "--draws", "2"], catch_exceptions=False)
