"""``modalens benchmark``: how fast modalens is, and how right learners and scores are."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modalens.benchmarks import SpeedConfig
from modalens.benchmarks.rows import ROWS, find_rows
from modalens.cli.lazy import LazyCommand, command_of
from modalens.cli.options import Json, takes
from modalens.errors import ModalensError
from modalens.planted.config import PlantedConfig

_SPEED = "Measure speed and memory beside the plain way of writing each thing down."
_PLANTED = "Score every feature learner, dominance score and class rule on synthetic spaces whose concepts are known."
_ROW = f"Rows to measure (default: all): {', '.join(row.name for row in ROWS)}."


@takes(SpeedConfig)
def speed(
    rows: Annotated[
        list[str] | None, typer.Argument(metavar="[ROW]...", help=_ROW, show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a JSON file of what was measured.")] = None,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Measure speed and memory beside the plain way of writing each thing down.

    Ours and theirs do the same work in turns in one process, and their results are compared; the floor is what no way
    can do without, such as reading the data once. Some minutes on two cores.

    --json prints "machine", "load" (processes that wanted to run when it began), "versions", "date", "device", "size",
    "rows" and "curves". A row has "name", "what", "against", "below" (what the floor is), "size", "ours", "theirs" and
    "floor" (each "seconds", "cpu" and "gib"), "ratio", "cpu_ratio", "of_floor", "difference", "agree", "facts" and
    "goals"; a curve "row", "varies", "others", "points" and "slope".
    """
    from modalens.benchmarks.suite import speed as measure
    from modalens.cli.output import print_json

    names = [row.name for row in find_rows(rows or ())]
    found = measure(names, SpeedConfig(**config), out=out)
    if json:
        print_json(found)
    else:
        _print(found)
        if out is not None:
            print(f"Results: {out / SpeedConfig(**config).file_name}")
    wrong = [row["name"] for row in found["rows"] if row["agree"] is False]
    if wrong:
        raise ModalensError(
            f"The results of {', '.join(wrong)} differ from the plain way's; please report it."
        )


def _print(found: dict[str, Any]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from modalens.benchmarks.tables import in_words, number, row_cells

    console = Console()
    lines = [row_cells(row) for row in found["rows"]]
    if lines:
        table = Table(*lines[0], title=f"modalens on {found['device']}, {found['size']} sizes", box=SIMPLE)
        table.columns[0].no_wrap = True
        for line in lines:
            table.add_row(*line.values())
        console.print(table)
    if found["curves"]:
        curves = Table("row", "varies", "the rest", "slope", title="How the cost grows", box=SIMPLE)
        for each in found["curves"]:
            curves.add_row(each["row"], each["varies"], in_words(each["others"]), number(each["slope"], 2))
        console.print(curves)


@takes(PlantedConfig)
def planted(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for planted.json and planted.md, the tables; what it holds already is kept."
        ),
    ] = None,
    json: Json = False,
    *,
    config: dict[str, Any],
) -> None:
    """Score every feature learner, dominance score and class rule on synthetic spaces whose concepts are known.

    Some minutes a seed on two cores. Learners are told how many concepts there are and how many fire at once.

    --json prints "worlds", "learners" (the last two are baselines), "config" and "rows", one for each "world",
    "learner" and "seed" with its "measures": "recovery" (share of concepts that a feature stands for), "cosine" (of
    decoder rows to directions), "unexplained" (share of variance), "attribution SCORE RULE" (balanced accuracy of
    classes), "split_found", "split_healed", "private_found", "false_private" and "false_split" (shares; null where
    there is none).
    """
    from modalens.cli.output import print_json
    from modalens.planted.benchmark import benchmark_planted

    found = benchmark_planted(PlantedConfig(**config), out=out)
    if json:
        print_json(found.to_dict())
    else:
        print(found.to_markdown(), end="")
        if out is not None:
            print(f"Results: {out / 'planted.json'}")


class _Benchmarks(TyperGroup):
    """A group in which words that begin with no command's name are those of ``speed``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if first not in self.commands and first not in ctx.help_option_names:
            args = ["speed", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


benchmark = _Benchmarks(
    name="benchmark",
    help="Measure how fast modalens is, and how right learners and scores are; without a command, its speed.",
    commands={
        "speed": LazyCommand("speed", _SPEED, lambda: command_of("speed", speed)),
        "planted": LazyCommand("planted", _PLANTED, lambda: command_of("planted", planted)),
    },
)
