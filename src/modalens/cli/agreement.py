"""``modalens agreement``."""

from pathlib import Path
from typing import Annotated

import typer

from modalens.cli.options import Json


def agreement(
    files: Annotated[list[Path], typer.Argument(help="What raters saved from the page.")],
    key: Annotated[
        Path | None, typer.Option(help="key.json beside the page, to compare with the classes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables.")] = None,
    json: Json = False,
) -> None:
    """Measure how well raters agree with each other and with the classes.

    By Cohen's kappa for two raters and Krippendorff's alpha for any number.

    --json prints each table as a list of rows.
    """
    from modalens.cli.output import print_frame, print_json, print_sentences
    from modalens.store.lock import alone_in
    from modalens.studies.rater_agreement.study import agreement as measure

    result = measure(files, key)
    if out is not None:
        with alone_in(out):
            result.save(out)
    if json:
        print_json({name: frame.to_dict("records") for name, frame in result.tables.items()})
        return
    print_sentences(result.statements)
    for name, frame in result.tables.items():
        if name != "features":
            print_frame(frame, name)
