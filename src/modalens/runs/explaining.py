"""What fires for one text or one image: its features with their classes, and the energy that each class holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from modalens.arrays import read_rows
from modalens.errors import InputError
from modalens.pairs.images import FileImage
from modalens.pairs.rgb import flatten_rgb
from modalens.runs.interpreting import load_interpretation
from modalens.runs.origin import open_vlm
from modalens.runs.representations import Representation


@dataclass(frozen=True)
class Explanation:
    """The features of one sample.

    Attributes
    ----------
    features
        One row a feature that fires, the strongest first: ``feature``, ``value``, ``score`` (R), ``label`` (its class),
        ``certainty`` (share of resamples that give it this class), and ``verdict`` and ``partner`` where the run was
        interpreted.
    shares
        Share of the sample's energy (sum of squares) by class, in [0, 1].
    modality
        Which side the sample is of.
    representation
        ``raw``, or the name of the learned features.
    """

    features: pd.DataFrame
    shares: Mapping[str, float]
    modality: str
    representation: str

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        return (
            f"Explanation({self.modality}, {len(self.features)} features of {self.representation}: {shares})"
        )


def explain(
    each: Representation, sample: str | Path | Image.Image, *, device: str | None = None
) -> Explanation:
    """Embed a sample with the run's model and say which features fire for it.

    Parameters
    ----------
    each
        A representation of the run.
    sample
        A text, or an image or the :class:`~pathlib.Path` of one; a plain string is always a text.
    device
        Where the model runs; the best there is by default.

    Raises
    ------
    ModalensError
        If the model cannot be loaded or the image not be read.
    """
    mds = each.mds
    first, second = mds.modalities
    vlm = open_vlm(each.store if each.embeddings is None else each.embeddings, device)
    if isinstance(sample, str):
        side, embedded = second, vlm.embed_texts([sample])
    elif first != "image":
        raise InputError(f"The run is of {first}s and {second}s; explain a {second}.")
    elif not isinstance(sample, Path | Image.Image):
        raise InputError(f"The sample is {sample!r}; give a text, an image or the path of one.")
    else:
        image = FileImage(sample, sample.name).load() if isinstance(sample, Path) else flatten_rgb(sample)
        side, embedded = first, vlm.embed_images([image])
    values = (
        embedded
        if each.learned is None
        else each.learned.model.encode(embedded, "text" if side == second else "image")
    )
    block = read_rows(values, 0, 1)
    row = np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)[0]
    live = np.flatnonzero(row)
    order = live[np.argsort(-np.abs(row[live]), kind="stable")]
    frame = pd.DataFrame(
        {
            "feature": order,
            "value": row[order],
            "score": mds.score[order],
            "label": mds.labels[order],
            "certainty": mds.probability[order],
        }
    )
    interpretation = load_interpretation(each)
    if interpretation is not None:
        frame["verdict"] = interpretation.bridges.verdict[order]
        frame["partner"] = interpretation.bridges.partner[order]
    energy = row**2
    total = energy.sum()
    shares = {
        name: float(energy[mds.labels == name].sum() / total) if total else 0.0
        for name in (first, "cross", second)
    }
    return Explanation(frame, shares, side, each.name)
