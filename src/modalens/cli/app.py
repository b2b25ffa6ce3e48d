"""The commands."""

import logging
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

import modalens
from modalens.cli import meaning, train
from modalens.cli.run import run
from modalens.cli.study import study
from modalens.errors import ModalensError
from modalens.version import __version__

app = typer.Typer(
    help="Measure the modality gap of vision-language models feature by feature.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train.app, name="train")
app.command()(meaning.interpret)
app.command()(study)
app.command()(meaning.annotate)
app.command()(meaning.agreement)
app.command()(run)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Engine = Annotated[str, typer.Option(help="Who does the work: local, or ray (a cluster).")]
Workers = Annotated[int, typer.Option(help="Processes at work side by side.")]
Address = Annotated[str | None, typer.Option(help="Address of a Ray cluster (default: one on this machine).")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"modalens {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
) -> None:
    del version
    # On a terminal the bars tell; elsewhere the log does.
    level = logging.INFO if verbose or not sys.stderr.isatty() else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("modalens").setLevel(level)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    studies: Annotated[
        bool, typer.Option("--studies", help="Run every study, not only the tests of the classes.")
    ] = False,
    json: Json = False,
) -> None:
    """Train the demo encoder on OpenMoji, learn and interpret features beside its twins', and write the report.

    Takes a few minutes the first time and asks no model hub: everything comes from installed packages.
    """
    from modalens.cli.output import print_json, print_scores, summarise
    from modalens.demo.run import DemoPlan, run_demo
    from modalens.studies.registry import study_names

    plan = DemoPlan(studies=study_names()) if studies else DemoPlan()
    run, scores, report = run_demo(out, plan)
    dominance = scores.dominance["mean_ratio"]
    assert not isinstance(dominance, str)  # only signed_ratio can be undefined
    summary = summarise(scores, dominance)
    if json:
        print_json({"run": str(run.folder), "report": str(report), **summary})
    else:
        print_scores(summary, "Demo encoder")
        print(f"Report: {report.resolve()}")


@app.command()
def embed(
    source: Annotated[
        str,
        typer.Argument(
            help="Where the pairs come from: openmoji, folder:DIR, csv:FILE, wds:SHARDS, hf:NAME:SPLIT or "
            "coco:IMAGES,CAPTIONS.json (docs/howto/sources.md)."
        ),
    ],
    vlm: Annotated[
        str,
        typer.Option(
            help="demo; a CLIP, SigLIP, BLIP, ALIGN or CLAP by its id on the Hugging Face hub or its folder; "
            "open_clip:NAME/TAG; declip:FILE; or hidden:MODEL?layer=N."
        ),
    ] = "demo",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the store (default: runs/SOURCE-VLM/embeddings).")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float16.")] = "float32",
    batch_size: Annotated[int, typer.Option(help="Images or texts in one forward pass.")] = 32,
    rows_per_shard: Annotated[int, typer.Option(help="Pairs in one shard, the unit a kill can cost.")] = 8192,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ... (default: the best there is).")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub model.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad pair.")] = False,
    engine: Engine = "local",
    workers: Workers = 1,
    address: Address = None,
    json: Json = False,
) -> None:
    """Embed image-text pairs into a store; run again after a stop, it goes on where it was."""
    from modalens.cli.output import print_json
    from modalens.engine.engines import open_engine
    from modalens.runs.embedding import embed_with
    from modalens.runs.shards import EmbedConfig

    out = out or Path("runs") / f"{_slug(source)}-{_slug(vlm)}" / "embeddings"
    config = EmbedConfig(dtype, rows_per_shard, batch_size)
    opened = open_engine(engine, workers, address)
    pairs = modalens.load_pairs(source)
    model = modalens.load_vlm(vlm, device=device, revision=revision)
    with opened:
        store, effort = embed_with(opened, pairs, model, out, config, strict=strict, device=device)
    skipped = [] if store.manifest is None else store.manifest.skipped
    if json:
        shape = {"pairs": len(store), "features": store.image.shape[1]}
        how = {"share_waiting_for_images": effort.seconds.share_waiting, "retried": effort.retried}
        print_json({"store": str(out), **shape, "skipped": skipped, **how})
        return
    print(f"{len(store)} pairs of {store.image.shape[1]} features in {out}")
    if skipped:
        print(f"{len(skipped)} skipped, listed in {out / 'manifest.json'}; the first:")
        for item in skipped[:5]:
            print(f"  {item['id']}: {item['reason']}")


@app.command()
def score(
    data: Annotated[
        Path,
        typer.Argument(help="A run, a store, or a .npy file of two stacked matrices (2, M, D), image first."),
    ],
    estimator: Annotated[
        str, typer.Option(help="The estimator to print: mean_ratio, energy_ratio or signed_ratio.")
    ] = "mean_ratio",
    rule: Annotated[str, typer.Option(help="Class rule: mu_sigma (published) or twofold.")] = "mu_sigma",
    normalize: Annotated[
        bool, typer.Option("--normalize", help="L2-normalise every embedding first.")
    ] = False,
    groups: Annotated[
        str | None, typer.Option(help="Metadata column drawn together in the bootstrap (default: the image).")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Score only pairs whose column 'split' is this.")] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the scores (default: scores/ in the run; none for a .npy).")
    ] = None,
    engine: Engine = "local",
    workers: Workers = 1,
    address: Address = None,
    json: Json = False,
) -> None:
    """Score every feature by the modality that drives it, and measure the gap."""
    from modalens.cli.output import print_json, print_scores, summarise
    from modalens.dominance.sums import check_estimator
    from modalens.engine.engines import open_engine
    from modalens.runs import ScoreConfig, load_stacked, score, score_store
    from modalens.runs.layout import RunFolder
    from modalens.store.lock import alone_in

    check_estimator(estimator)
    config = ScoreConfig(rule, normalize, groups, split, resamples, seed)
    opened = open_engine(engine, workers, address)
    run = None if data.suffix == ".npy" else RunFolder.find(data)
    if run is None and (groups or split):
        raise ModalensError("A .npy file has no metadata, so --groups and --split do not work on it.")
    if run is None and not opened.in_process:
        raise ModalensError("A .npy file is scored by this process alone; leave out --engine and --workers.")
    if run is not None:
        out = out or run.scores
    with nullcontext() if out is None else alone_in(out):
        if run is None:
            image, text = load_stacked(data)
            scores = score(image, text, config, source={"file": data.name})
        else:
            store = run.store()
            with opened:
                scores = score_store(store, config, opened)
        dominance = scores.dominance[estimator]
        if isinstance(dominance, str):
            raise ModalensError(dominance)
        if out is not None:
            scores.save(out)
    summary = summarise(scores, dominance)
    if json:
        where = {"data": str(data), "scores": None if out is None else str(out)}
        print_json({**where, **summary, "retried": opened.retried})
        return
    print_scores(summary, str(data))
    if out is not None:
        print(f"Scores: {out}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a store.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report (default: report/ in the run).")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    top: Annotated[int, typer.Option(help="Most images and texts on a feature's card.")] = 12,
    features: Annotated[
        int, typer.Option(help="Most features in a gallery; of more, so many are drawn at random.")
    ] = 2000,
    json: Json = False,
) -> None:
    """Write a run's report: one HTML page that opens offline, its figures and tables.

    Scores the run first if it has no scores. Every run under baselines/ is shown beside it. What modalens
    interpret and modalens study have found is shown too, with galleries of what features respond to.
    """
    from modalens.cli.output import print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.reporting import report_run

    path = report_run(RunFolder.find(run), out=out, title=title, top=top, features=features)
    if json:
        print_json({"report": str(path)})
    else:
        print(f"Report: {path.resolve()}")


def _slug(name: str) -> str:
    """A name made fit for a folder."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[-60:]
