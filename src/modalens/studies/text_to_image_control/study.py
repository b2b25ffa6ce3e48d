"""What does each class carry into a generated picture? Move it towards a reference, beside random features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalens.dominance.result import Dominance
from modalens.edit.index_sets import RANDOM
from modalens.errors import ModalensError
from modalens.studies.contact_sheet import Layout, contact_sheet, png_bytes
from modalens.studies.options import settings_of
from modalens.studies.result import Picture, StudyResult
from modalens.studies.text_to_image_control.config import TextToImageConfig
from modalens.studies.text_to_image_control.measures import SimilarityMeasures
from modalens.studies.text_to_image_control.prompted import Prompted
from modalens.studies.text_to_image_control.sweep import TILE, Sweep, run_sweep, sweep_sets
from modalens.studies.text_to_image_control.tables import cells_table, slopes_table, statements
from modalens.towers.base import VLM
from modalens.towers.samples.base import SampleEmbedder

# Judges that share a tower with the encoder that is edited, by the names of both.
_RELATED = {
    ("demo", "efficientnet-lite0"): (
        "efficientnet-lite0, which judges content, is the frozen tower under the demo encoder's image head: another "
        "embedder than the one that is edited, but no independent one. Colours and edges owe nothing to it."
    )
}
_PUBLISHED = (
    "The papers measure nothing here; looking at pictures of Stable Diffusion 2 they say that TextD carries the main "
    "subject, and ImgD low-level detail and, when strong, distortion."
)
# A reference this many times as long as the prompt, or as much shorter, changes its length more than its meaning.
_MUCH_LONGER = 2.0


def text_to_image(
    prompted: Prompted,
    references: Sequence[Image.Image],
    mds: Dominance,
    judge: SampleEmbedder,
    *,
    reader: VLM | None = None,
    work: Path | None = None,
    caveats: Sequence[str] = (),
    source: Mapping[str, Any] | None = None,
    config: TextToImageConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Move a prompt's features towards reference images, class by class, and measure what is drawn.

    Parameters
    ----------
    prompted
        Generator and prompt: Stable Diffusion, or an embedding of the prompt that a generator draws.
    references
        Reference images; intervals are over these, so give several.
    mds
        Dominance scores of the features that ``prompted`` moves.
    judge
        Embeds pictures to say what they show; not the encoder whose features are moved.
    reader
        A dual encoder, also another one, that says how well pictures fit the prompt; left out by default.
    work
        Folder in which pictures are kept as they are drawn, so that a second run goes on from them.
    caveats
        Sentences put first among the statements.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`TextToImageConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Tables ``cells`` (each measure by set and strength) and ``slopes`` (what a measure changes by from
        strength 0 to 1, classes beside random sets of equal size, and whether a class carries content or
        surface), and a picture of each grid.

    Raises
    ------
    ModalensError
        If there is no reference, scores and features do not match, all classes are empty, a picture cannot be
        drawn or kept, or an option is unknown or out of range.

    Notes
    -----
    Beyond Cross-Modal Alignment, section 5.3: T'[I] = (1 - s) T[I] + s R[I], with classes sampled down to the
    smallest, random sets of that size and all features beside them.
    """
    config = TextToImageConfig.of(config, options, "text_to_image")
    if not references:
        raise ModalensError("There is no reference image; give at least one, better several.")
    if prompted.n_features != len(mds.score):
        raise ModalensError(
            f"{len(mds.score)} features are scored and {prompted.name} is moved on {prompted.n_features}; give the "
            f"scores of the features of {prompted.vlm.name}."
        )
    mds = mds.with_rule(config.rule)
    sets, notes = sweep_sets(mds, config.draws, config.seed)
    embedded = prompted.embed(references)
    measures = SimilarityMeasures(references, judge, prompted.prompt, reader)
    seeds = [config.seed + turn for turn in range(config.seeds)]
    sweep = run_sweep(
        prompted, embedded, sets, config.strengths, seeds, measures, shown=config.shown, work=work
    )
    slopes = slopes_table(sweep, config.seed)
    related = _RELATED.get((prompted.vlm.name, judge.name))
    length = float(np.linalg.norm(embedded, axis=1).mean())
    return StudyResult(
        name="text-to-image",
        title="What each class carries into a picture",
        tables={"slopes": slopes, "cells": cells_table(sweep, config.seed)},
        statements=[
            *caveats,
            *([] if related is None else [related]),
            *statements(slopes, sweep, judge.name),
            *_lengths(prompted.prompt_length, length),
            _PUBLISHED,
            *notes,
        ],
        config={
            **settings_of(config, TextToImageConfig),
            "estimator": mds.estimator,
            "prompt": prompted.prompt,
            "generator": prompted.card(),
            "judge": judge.card(),
            "reader": None if reader is None else reader.card(),
            "references": len(references),
            "features_moved": len(sets[0]),
            "prompt_length": prompted.prompt_length,
            "reference_length": length,
        },
        source=dict(source or {}),
        pictures={
            f"grid-{number + 1}": _grid(sweep, number, references[number], prompted.prompt, config.seed)
            for number in range(len(sweep.shown))
        },
    )


def _grid(sweep: Sweep, number: int, reference: Image.Image, prompt: str, seed: int) -> Picture:
    """A row a set of features, a column a strength (the papers' Figure 8); of the random sets the first."""
    random = [place for place, each in enumerate(sweep.sets) if each.kind == RANDOM]
    chosen = [place for place in range(len(sweep.sets)) if place not in random[1:]]
    sheet = contact_sheet(
        [[reference, *sweep.shown[number][place]] for place in chosen],
        columns=["reference", *(f"{strength:.2g}" for strength in sweep.strengths)],
        names=[f"{sweep.sets[place].name}\n{len(sweep.sets[place])} features" for place in chosen],
        layout=Layout(tile=TILE, left=96),
    )
    caption = (
        f"“{prompt}”, moved towards the reference at the left on the features of a row with the strength of a "
        f"column; reference {number + 1}, seed {seed}."
    )
    return Picture(png_bytes(sheet), caption)


def _lengths(prompt: float, reference: float) -> list[str]:
    if reference <= _MUCH_LONGER * prompt and prompt <= _MUCH_LONGER * reference:
        return []
    longer = f"{reference:.3g} long on average and what they are mixed into {prompt:.3g}"
    return [f"The references' embeddings are {longer}, so an edit changes length as well as direction."]
