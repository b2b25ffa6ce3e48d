"""What does each class carry into a generated picture? Move it towards a reference, beside random features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalens.arrays import Matrix
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError
from modalens.studies.contact_sheet import Layout, contact_sheet, png_bytes
from modalens.studies.options import settings_of
from modalens.studies.result import Picture, StudyResult
from modalens.studies.text_to_image_control.config import TextToImageConfig
from modalens.studies.text_to_image_control.measures import SimilarityMeasures
from modalens.studies.text_to_image_control.prompted import Prompted
from modalens.studies.text_to_image_control.sets import MatchedSet, matched_sets
from modalens.studies.text_to_image_control.statements import statements
from modalens.studies.text_to_image_control.sweep import TILE, Sweep, run_sweep
from modalens.studies.text_to_image_control.tables import cells_table, slopes_table
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
    prompted: Prompted | Sequence[Prompted],
    references: Sequence[Image.Image],
    mds: Dominance,
    judge: SampleEmbedder,
    *,
    features: tuple[Matrix, Matrix] | None = None,
    labels: Sequence[Any] | np.ndarray | None = None,
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
        Generator and prompt: Stable Diffusion, or an embedding of the prompt that a generator draws. Of several, such
        as one pipeline in two spaces, each gets rows of its own.
    references
        Reference images; intervals are over these, so give several.
    mds
        Dominance scores of the features that ``prompted`` moves.
    judge
        Embeds pictures to say what they show; not the encoder whose features are moved.
    features
        Image and text features of pairs, (n, f) each, that energy and variance are measured on: for sets of equal
        energy and the features of largest variance.
    labels
        A label a pair, for the features of largest F-score.
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
        strength 0 to 1, classes beside random sets of equal number and of equal energy, and whether a class carries
        content or surface), and a picture of each grid.

    Raises
    ------
    ModalensError
        If there is no reference, scores and features do not match, all classes are empty, a picture cannot be
        drawn or kept, or an option is unknown or out of range.

    Notes
    -----
    Beyond Cross-Modal Alignment, section 5.3: T'[I] = (1 - s) T[I] + s R[I]; for the sets see
    :func:`modalens.studies.text_to_image_control.sets.matched_sets`.
    """
    config = TextToImageConfig.of(config, options, "text_to_image")
    if not references:
        raise ModalensError("There is no reference image; give at least one, better several.")
    several = [prompted] if isinstance(prompted, Prompted) else list(prompted)
    for each in several:
        if each.n_features != len(mds.score):
            raise ModalensError(
                f"{len(mds.score)} features are scored and {each.name} is moved on {each.n_features}; give the "
                f"scores of the features of {each.vlm.name}."
            )
    first = several[0]
    mds = mds.with_rule(config.rule)
    sets, notes = matched_sets(mds, config.draws, config.seed, features, labels)
    embedded = first.embed(references)
    measures = SimilarityMeasures(references, judge, first.prompt, reader)
    seeds = [config.seed + turn for turn in range(config.seeds)]
    sweeps = {
        each.space: run_sweep(
            each, embedded, sets, config.strengths, seeds, measures, shown=config.shown, work=work
        )
        for each in several
    }
    slopes = slopes_table(sweeps, config.seed)
    related = _RELATED.get((first.vlm.name, judge.name))
    length = float(np.linalg.norm(embedded, axis=1).mean())
    return StudyResult(
        name="text-to-image",
        title="What each class carries into a picture",
        tables={"slopes": slopes, "cells": cells_table(sweeps, config.seed)},
        statements=[
            *caveats,
            *([] if related is None else [related]),
            *statements(slopes, sweeps, judge.name),
            *(said for each in several if not each.rescales for said in _lengths(each.prompt_length, length)),
            _PUBLISHED,
            *notes,
        ],
        config={
            **settings_of(config, TextToImageConfig),
            "estimator": mds.estimator,
            "prompt": first.prompt,
            "generator": first.card(),
            "spaces": [each.space for each in several],
            "judge": judge.card(),
            "reader": None if reader is None else reader.card(),
            "references": len(references),
            "features_moved": len(sets[0]),
            "prompt_length": first.prompt_length,
            "reference_length": length,
        },
        source=dict(source or {}),
        pictures={
            f"grid-{number + 1}{'' if place == 0 else f'-{space}'}": _grid(
                sweep, number, references[number], first.prompt, config.seed, space
            )
            for place, (space, sweep) in enumerate(sweeps.items())
            for number in range(len(sweep.shown))
        },
    )


def _grid(sweep: Sweep, number: int, reference: Image.Image, prompt: str, seed: int, space: str) -> Picture:
    """A row a set of features, a column a strength (the papers' Figure 8); of each kind of random sets the first."""
    chosen, kinds = [], set()
    for place, each in enumerate(sweep.sets):
        if not (each.random and each.kind in kinds):
            chosen.append(place)
        kinds.add(each.kind)
    sheet = contact_sheet(
        [[reference, *sweep.shown[number][place]] for place in chosen],
        columns=["reference", *(f"{strength:.2g}" for strength in sweep.strengths)],
        names=[_name(sweep.sets[place]) for place in chosen],
        layout=Layout(tile=TILE, left=172),
    )
    where = {"projected": " in the scored space", "token": " of the token vectors"}.get(space, "")
    caption = (
        f"“{prompt}”, moved towards the reference at the left on the features of a row{where} with the strength of a "
        f"column; reference {number + 1}, seed {seed}."
    )
    return Picture(png_bytes(sheet), caption)


def _name(each: MatchedSet) -> str:
    """What stands left of a row: the set, what it is matched by, and its size."""
    energy = "" if np.isnan(each.energy) else f", {each.energy:.0%} energy"
    lines = [each.name.replace("equal energy", "random"), f"{len(each)} features{energy}"]
    return "\n".join([lines[0], *([f"of equal {each.matched}"] if each.matched else []), lines[1]])


def _lengths(prompt: float, reference: float) -> list[str]:
    if reference <= _MUCH_LONGER * prompt and prompt <= _MUCH_LONGER * reference:
        return []
    longer = f"{reference:.3g} long on average and what they are mixed into {prompt:.3g}"
    return [f"The references' embeddings are {longer}, so an edit changes length as well as direction."]
