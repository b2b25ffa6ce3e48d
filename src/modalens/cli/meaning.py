"""``modalens interpret``, ``annotate`` and ``agreement``: what features mean, by measure and to people."""

from pathlib import Path
from typing import Annotated

import typer

from modalens.errors import ModalensError

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run, or a store.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def interpret(
    run: RunArgument,
    image_embedder: Annotated[
        str,
        typer.Option(
            help="Model that says how alike images are: efficientnet-lite0, a hub id or vlm:NAME; or own, where no "
            "images are at hand: the run's embeddings."
        ),
    ] = "efficientnet-lite0",
    text_embedder: Annotated[
        str, typer.Option(help="Model that says how alike texts are: minilm, a hub id, vlm:NAME or own.")
    ] = "minilm",
    m: Annotated[int, typer.Option(help="Strongest samples of each feature.")] = 20,
    draws: Annotated[int, typer.Option(help="Random baselines of each feature.")] = 5,
    rule: Annotated[str, typer.Option(help="Class rule: twofold or mu_sigma (published).")] = "twofold",
    shuffles: Annotated[int, typer.Option(help="Shuffles of the pairs behind the verdicts.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    json: Json = False,
) -> None:
    """Measure how interpretable features are, and whether one-sided ones are private or split.

    Done for the embeddings and for every set of features learned on them, and for the run's baselines; the
    report shows it.
    """
    from modalens.cli.output import frame_table, print_json
    from modalens.runs.interpretation import InterpretConfig
    from modalens.runs.interpreting import interpret_run
    from modalens.runs.layout import RunFolder

    config = InterpretConfig(image_embedder, text_embedder, m, draws, rule, shuffles, seed)
    found = interpret_run(RunFolder.find(run), config)
    if json:
        print_json(
            {
                name: {
                    "averages": each.fidelity.averages_frame().to_dict("records"),
                    "fidelity": each.fidelity.fidelity_frame().to_dict("records"),
                    "verdicts": each.bridges.counts(),
                    "verdicts_of_shuffled_pairs": each.bridges.shuffled_counts(),
                }
                for name, each in found.items()
            }
        )
        return
    from rich.console import Console

    console = Console()
    for name, each in found.items():
        averages = each.fidelity.averages_frame().query("metric == 'mono'").drop(columns="metric")
        console.print(frame_table(averages, f"{name}: Mono by class"))
        for side, counts in each.bridges.counts().items():
            beside = each.bridges.shuffled_counts()[side]
            told = ", ".join(f"{counts[verdict]} {verdict} ({beside[verdict]})" for verdict in counts)
            console.print(f"{name}, {side} features by verdict (pairs shuffled): {told}", highlight=False)
    print("Next: modalens report shows the galleries.")


def annotate(
    run: RunArgument,
    features: Annotated[int, typer.Option(help="Features to ask about.")] = 60,
    top: Annotated[int, typer.Option(help="Images and texts shown of each.")] = 9,
    representation: Annotated[
        str, typer.Option(help="raw, or the folder of learned features, such as sae.")
    ] = "sae",
    seed: Annotated[int, typer.Option(help="Seed of the choice and the order.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page (default: annotation/ in the run).")
    ] = None,
    json: Json = False,
) -> None:
    """Write a page where a person says whether features are of images, texts, both or neither.

    The class is hidden; answers are saved from the page and compared by modalens agreement.
    """
    from modalens.cli.output import print_json
    from modalens.report.annotation import write_annotation
    from modalens.runs.galleries import collect_previews, make_gallery
    from modalens.runs.interpreting import load_interpretation
    from modalens.runs.layout import RunFolder
    from modalens.runs.representations import representations

    found = RunFolder.find(run)
    known = {each.name: each for each in representations(found)}
    if representation not in known:
        raise ModalensError(f"The run has no features {representation!r}; it has {', '.join(known)}.")
    interpretation = load_interpretation(known[representation])
    if interpretation is None:
        raise ModalensError(f"{run} was not interpreted; run modalens interpret {run} first.")
    gallery = make_gallery(representation, "", interpretation, top=top)
    previews = collect_previews(known[representation].store, [gallery])
    page = write_annotation(
        gallery, previews, out or found.folder / "annotation", features=features, top=top, seed=seed
    )
    if json:
        print_json({"page": str(page), "key": str(page.with_name("key.json"))})
    else:
        print(f"Page: {page.resolve()}")
        print(f"Key, not for raters: {page.with_name('key.json').resolve()}")


def agreement(
    files: Annotated[list[Path], typer.Argument(help="What raters saved from the page.")],
    key: Annotated[
        Path | None, typer.Option(help="key.json beside the page, to compare with the classes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables.")] = None,
    json: Json = False,
) -> None:
    """How well raters agree with each other and with the classes: Cohen's kappa, Krippendorff's alpha."""
    from modalens.cli.output import frame_table, print_json
    from modalens.studies.rater_agreement.study import agreement as measure

    result = measure(files, key)
    if out is not None:
        result.save(out)
    if json:
        print_json({name: frame.to_dict("records") for name, frame in result.tables.items()})
        return
    from rich.console import Console

    console = Console()
    for sentence in result.statements:
        console.print(sentence, markup=False)
    for name, frame in result.tables.items():
        if name != "features":
            console.print(frame_table(frame, name))
