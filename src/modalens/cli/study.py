"""``modalens study``: tests and uses of the classes, beside controls."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def study(
    name: Annotated[
        str, typer.Argument(help="removal, stability, gender, adversarial, text-to-image or close-gap.")
    ],
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a store.")] = Path("runs/demo"),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results (default: studies/NAME in the run).")
    ] = None,
    label: Annotated[str, typer.Option(help="Metadata column that classifiers read.")] = "category",
    attribute: Annotated[
        str, typer.Option(help="Metadata column that the gender study tells apart, say skin_tone.")
    ] = "gender",
    classifier: Annotated[
        str | None,
        typer.Option(
            help="Image classifier that says the attribute, by hub id or folder (default: metadata)."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Probability over which the classifier is believed.")
    ] = 0.9,
    rule: Annotated[str, typer.Option(help="Class rule: twofold or mu_sigma (published).")] = "twofold",
    draws: Annotated[int | None, typer.Option(help="Random control sets.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    representation: Annotated[
        str | None, typer.Option(help="Study one alone: raw, or the folder of learned features, such as sae.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="What the text-to-image study draws.")] = "an animal",
    generator: Annotated[
        str,
        typer.Option(help="Who draws: self, or a Stable Diffusion or unCLIP pipeline by hub id or folder."),
    ] = "self",
    reference: Annotated[
        list[Path] | None, typer.Option(help="Image file to move the prompt towards; may be repeated.")
    ] = None,
    victim: Annotated[
        str, typer.Option(help="Whom adversarial images meet: self, URL#MODEL of a server, or a hub id.")
    ] = "self",
    judge: Annotated[
        str | None, typer.Option(help="Who says whether a request was followed: exact, or URL#MODEL.")
    ] = None,
    requests: Annotated[
        Path | None, typer.Option(help="JSON file of requests to smuggle (default: harmless canaries).")
    ] = None,
    images: Annotated[int, typer.Option(help="Images to attack.")] = 4,
    runs: Annotated[int, typer.Option(help="Repetitions of the adversarial study.")] = 3,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Study the run's baselines too.")
    ] = True,
    json: Json = False,
) -> None:
    """Run a study on every representation of a run, beside its controls and baselines.

    removal: what a classifier loses without the features of one class. stability: how the classes hold across
    resamples, estimators, halves of the data, seeds and normalisation. gender: how well an attribute of the pairs
    is told from their features without one class, and which samples and words lean to a class. adversarial: requests
    smuggled into images, and how far aligning the image on one class takes them out again. text-to-image: what
    moving one class of a prompt's features towards reference images does to the picture. close-gap: what becomes of
    the gap and of retrieval without one-sided features.
    """
    from modalens.cli.output import print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.studying import run_study
    from modalens.studies.registry import find_study

    found, study_named = RunFolder.find(run), find_study(name)
    given = {
        "label": label,
        "attribute": attribute,
        "classifier": classifier,
        "threshold": threshold,
        "rule": rule,
        "draws": draws,
        "seed": seed,
        "prompt": prompt,
        "generator": generator,
        "reference": tuple(reference or ()),
        "victim": victim,
        "judge": judge,
        "requests": requests,
        "images": images,
        "runs": runs,
    }
    own = {field.name for field in fields(study_named.config)}
    chosen = {key: value for key, value in given.items() if key in own and value is not None}
    config = study_named.config(**chosen)
    results = run_study(found, name, config, out=out, features=representation, baselines=baselines)
    where = found.study(study_named.folder(config)) if out is None else out
    if json:
        print_json({"results": str(where), **{kind: _as_json(result) for kind, result in results.items()}})
        return
    _print(results)
    print(f"Tables: {where}/*/tables")


def _print(results: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    for kind, result in results.items():
        console.print(f"[bold]{result.title}[/bold]: {kind}")
        for sentence in result.statements:
            console.print(f"- {sentence}", markup=False, highlight=False)


def _as_json(result: Any) -> dict[str, Any]:
    return {
        "title": result.title,
        "statements": list(result.statements),
        "tables": {name: frame.to_dict("records") for name, frame in result.tables.items()},
    }
