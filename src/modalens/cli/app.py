"""The commands, in the order in which people use them."""

import logging
import sys
from typing import Annotated

import typer

from modalens.cli.lazy import PLAIN, in_module
from modalens.redaction import redact_what_is_logged
from modalens.version import __version__

# Summaries stand here too, so that listing the commands imports none of them.
_COMMANDS = {
    "demo": "Train the demo encoder on OpenMoji, learn and interpret features beside its twins', and report.",
    "embed": "Embed pairs into a store; run again after a stop, it goes on where it was.",
    "train": "Learn sparse features on a store's embeddings.",
    "score": "Score every feature by the modality that drives it, and measure the gap.",
    "interpret": "Measure how interpretable features are, and whether one-sided ones are private or split.",
    "name": "Name features, and score each name on held-out pairs beside names of other features.",
    "study": "Run a study on a run, beside its controls and baselines.",
    "explain": "Say which features fire for a text, an image or both, and which class holds the energy.",
    "compare": "Compare models, seeds or dictionaries on the pairs that their runs share: a page, tables and LaTeX.",
    "models": "Put models side by side, each on the pairs of its own run: a row each, and their layers as curves.",
    "export": "Write features and pairs for other tools: Embedding Atlas, Neuronpedia, SAELens, CSV or Parquet.",
    "report": "Write a run's report: one HTML page that opens offline, its figures and tables.",
    "annotate": "Write a page where a person says whether features are of one modality, both or neither.",
    "agreement": "Measure how well raters agree with each other and with the classes.",
    "run": "Run the steps of a recipe; run again after a stop or a change, it does only what is not done.",
    "explore": "Open a page on this machine: features, pairs, what fires for your own sentence or picture, steering.",
    "benchmark": "Measure how fast modalens is, and how right learners and scores are; without a command, its speed.",
}

_main = typer.Typer(
    help="Measure the modality gap of vision-language models feature by feature.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=PLAIN,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"modalens {__version__}")
        raise typer.Exit


@_main.callback()
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
    redact_what_is_logged()


app = typer.main.get_group(_main)
for _name, _summary in _COMMANDS.items():
    app.add_command(in_module(_name, _summary, f"modalens.cli.{_name}:{_name}"))
