"""The sweep: every set of features, strength, reference and seed; what is drawn is measured at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.progress import progress_bar
from modalens.studies.text_to_image_control.cache import PictureCache
from modalens.studies.text_to_image_control.measures import SimilarityMeasures
from modalens.studies.text_to_image_control.prompted import Edit, Prompted
from modalens.studies.text_to_image_control.sets import MatchedSet

TILE = 80


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the pictures of a sweep measure, and some of them.

    Attributes
    ----------
    sets, strengths
        The rows and columns of a grid.
    values
        For each measure (a sets, s strengths, n references, r seeds).
    shown
        For each reference that is shown, small pictures by set and strength, drawn with the first seed.
    """

    sets: Sequence[MatchedSet]
    strengths: Sequence[float]
    values: Mapping[str, Float[np.ndarray, "a s n r"]]
    shown: Sequence[Sequence[Sequence[Image.Image]]]


def run_sweep(
    prompted: Prompted,
    references: Float[np.ndarray, "n d"],
    sets: Sequence[MatchedSet],
    strengths: Sequence[float],
    seeds: Sequence[int],
    measures: SimilarityMeasures,
    *,
    shown: int = 0,
    work: Path | None = None,
) -> Sweep:
    """Draw and measure every cell.

    Parameters
    ----------
    prompted
        What draws.
    references
        Embeddings of the reference images.
    sets, strengths, seeds
        What to sweep over; strengths ascend, and at 0 all sets show the unedited picture.
    measures
        What measures, made with the same references.
    shown
        Of how many references to keep small pictures.
    work
        Where pictures are kept as they are drawn.
    """
    drawer = PictureCache(prompted, work)
    moved = [strength for strength in strengths if strength > 0]
    shape = (len(sets), len(strengths), len(references), len(seeds))
    values = {name: np.empty(shape) for name in measures.names}
    # Which of [unedited, drawn one after the other] stands in each cell.
    cells = np.zeros(shape[:2], dtype=np.int64)
    cells[:, len(strengths) - len(moved) :] = 1 + np.arange(len(sets) * len(moved)).reshape(len(sets), -1)
    grids: list[list[list[Image.Image]]] = []
    with progress_bar("Drawing", len(seeds) * len(references) * len(sets) * len(moved)) as advance:
        for turn, seed in enumerate(seeds):
            unedited = prompted.draw_unedited(seed)
            for number, reference in enumerate(references):
                edits = [Edit(reference, each.indices, strength) for each in sets for strength in moved]
                pictures = [unedited, *drawer.draw(edits, seed, advance)]
                for name, measured in measures(pictures, number).items():
                    values[name][:, :, number, turn] = measured[cells]
                if turn == 0 and number < shown:
                    small = [picture.resize((TILE, TILE), Image.Resampling.LANCZOS) for picture in pictures]
                    grids.append([[small[place] for place in row] for row in cells.tolist()])
    return Sweep(sets, strengths, values, grids)
