"""``modalens run``: a whole study from one file."""

from pathlib import Path
from typing import Annotated

import typer

from modalens.errors import ModalensError


def run(
    recipe: Annotated[
        Path,
        typer.Argument(help="YAML file, or the name of one that comes along: beyond_cross_modal, own_data."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of its runs (default: runs/NAME-OF-THE-FILE).")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the steps in a minute, on stand-ins for models and data.")
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Input to take instead; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Run the steps of a recipe; run again after a stop or a change, it does only what is not done.

    docs/howto/recipes.md shows how to write one.

    --json prints "runs" (path), "seconds" by step (null where it was done before), and "tables" and "pages" (paths).
    """
    from modalens.cli.output import print_json
    from modalens.recipes.execute import run_recipe
    from modalens.recipes.recipe import load_recipe

    loaded = load_recipe(recipe, smoke=smoke, inputs=_inputs(given or []))
    where = out or Path("runs") / (f"{recipe.stem}-smoke" if smoke else recipe.stem)
    if not json:
        print(f"{loaded.name}: {len(loaded.steps)} steps into {where}")
        print(loaded.needs_sentence(), flush=True)
    times: dict[str, float | None] = {}
    for done in run_recipe(loaded, where):
        times[done.step.name] = done.seconds
        if not json:
            took = "done before" if done.seconds is None else f"{done.seconds:,.1f} s"
            print(f"  {done.step.name:<20} {took}", flush=True)
    tables = [where / step.run / "comparison/comparison.md" for step in loaded.steps if step.do == "compare"]
    pages = [where / step.run / "report/report.html" for step in loaded.steps if step.do == "report"]
    if json:
        print_json(
            {
                "runs": str(where),
                "seconds": times,
                "tables": list(map(str, tables)),
                "pages": list(map(str, pages)),
            }
        )
        return
    if smoke:
        print(f"\n{loaded.needs_sentence()}")
    for table in tables:
        print(f"\n{table.read_text(encoding='utf-8')}")
    for page in pages:
        print(f"Report: {page.resolve()}")


def _inputs(given: list[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise ModalensError(f"Write an input as NAME=VALUE, not {each!r}.")
        found[name] = value
    return found
