"""``modalens study``: one command a study, from the registry of studies."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.lazy import LazyCommand, command_of, group_of
from modalens.cli.options import Json, takes
from modalens.runs.choice import Scope, ScopeOfOne
from modalens.studies.registry import find_study, study_names

_JSON = (
    '--json prints "results" (path) and, for each representation, "title", "statements" and "tables" (rows).'
)


def _command(name: str) -> Any:
    found = find_study(name)

    @takes(found.config, ScopeOfOne if found.one_representation else Scope)
    def study(
        run: Annotated[Path, typer.Argument(help="Folder of a run, or a store.")] = Path("runs/demo"),
        out: Annotated[
            Path | None, typer.Option(help=f"Folder of the results (default: studies/{name} in the run).")
        ] = None,
        json: Json = False,
        *,
        config: dict[str, Any],
        scope: dict[str, Any],
    ) -> None:
        from modalens.cli.output import print_json
        from modalens.runs.layout import RunFolder
        from modalens.runs.studying import run_study

        folder = RunFolder.find(run)
        options = found.config(**config)
        results = run_study(folder, name, options, out=out, **scope)
        where = folder.study(found.folder(options)) if out is None else out
        if json:
            print_json({"results": str(where), **{kind: _as_json(each) for kind, each in results.items()}})
            return
        _print(results)
        print(f"Tables: {where}/*/tables")

    study.__doc__ = f"{found.summary}\n\n{_JSON}"
    return command_of(name, study)


def _print(results: dict[str, Any]) -> None:
    from rich.console import Console

    from modalens.cli.output import headed, print_sentences

    console = Console()
    for kind, result in results.items():
        console.print(headed(result.title, f": {kind}"))
        print_sentences(result.statements, "- ")


def _as_json(result: Any) -> dict[str, Any]:
    return {
        "title": result.title,
        "statements": list(result.statements),
        "tables": {name: frame.to_dict("records") for name, frame in result.tables.items()},
    }


study = group_of(
    "study",
    "Run a study on a run, beside its controls and baselines.",
    {name: LazyCommand(name, find_study(name).summary, partial(_command, name)) for name in study_names()},
)
