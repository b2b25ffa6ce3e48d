"""What fires for one text or one image: its features with their classes, and the energy that each class holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from modalens.arrays import read_rows
from modalens.errors import InputError
from modalens.options import Options, option
from modalens.pairs.images import FileImage
from modalens.pairs.modality import IMAGE, many
from modalens.pairs.rgb import flatten_rgb
from modalens.pairs.text import MAX_CAPTION, plain_text
from modalens.runs.interpreting import load_interpretation
from modalens.runs.naming import load_names
from modalens.runs.origin import open_vlm
from modalens.runs.representations import Representation
from modalens.towers.base import VLM

_PAIRS = 2000


@dataclass(frozen=True)
class Explanation:
    """The features of one sample.

    Attributes
    ----------
    features
        One row a feature that fires, the strongest first: ``feature``, ``value``, ``energy`` (its share of the sum of
        squares, in [0, 1]), ``score`` (R), ``label`` (its class), ``certainty`` (share of resamples that give it this
        class), and ``verdict`` and ``partner`` (-1 for none) where the run was interpreted;
        ``name`` (empty where it is no better than other features' names) with its detection on images and on texts
        where features were named.
    shares
        Share of the sample's energy (sum of squares) by class, in [0, 1]; ``dead`` only where features fire that never
        do in the run.
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


@dataclass(frozen=True)
class ExplainConfig(Options):
    """How much of an explanation is shown, and where the model runs."""

    top: int = option(12, "Most features to show, those of most energy.", least=1)
    device: str | None = option(None, "Device to embed on, such as cpu or cuda (default: the best there is).")


@dataclass(frozen=True)
class ExplainedPair:
    """The features of an image and a text beside each other.

    Attributes
    ----------
    image, text
        Either side alone.
    shared_of_pairs, shared_of_shuffled
        Features that fire on both sides of a pair of the run, on average, and on the image of one pair and the text of
        another.
    """

    image: Explanation
    text: Explanation
    shared_of_pairs: float
    shared_of_shuffled: float

    @cached_property
    def features(self) -> pd.DataFrame:
        """One row a feature that fires on either side: ``image`` and ``text`` (energy there), ``on`` and what it is.

        ``on`` is ``both``, or the name of the side on which alone it fires. Those of most energy stand first.
        """
        sides = (self.image, self.text)
        about = pd.concat([side.features.drop(columns=["value", "energy"]) for side in sides])
        frame = about.drop_duplicates("feature").set_index("feature")
        for name, side in zip(("image", "text"), sides, strict=True):
            frame[name] = side.features.set_index("feature")["energy"]
        there = frame[["image", "text"]].notna().to_numpy()
        alone = np.where(there[:, 0], self.image.modality, self.text.modality)
        frame.insert(0, "on", np.where(there.all(axis=1), "both", alone))
        frame[["image", "text"]] = frame[["image", "text"]].fillna(0.0)
        order = np.argsort(-(frame["image"] + frame["text"]).to_numpy(), kind="stable")
        return frame.iloc[order].reset_index()

    @property
    def overlap(self) -> Mapping[str, float]:
        """Share of either side's energy in features that fire on both, in [0, 1]."""
        both = self.features[self.features["on"] == "both"]
        return {name: float(both[name].sum()) for name in ("image", "text")}


def explain_pair(
    each: Representation, image: Path | Image.Image, text: str, *, device: str | None = None
) -> ExplainedPair:
    """Say which features fire for an image, for a text and for both; arguments as for :func:`explain`."""
    samples = [_ready(each, sample) for sample in (image, text)]
    vlm = _model(each, device)
    found = [explain(each, sample, vlm=vlm) for sample in samples]
    return ExplainedPair(found[0], found[1], *_shared(each))


def _shared(each: Representation) -> tuple[float, float]:
    """Mean number of features that fire on both sides of a pair, and of the sides of two pairs."""
    n = min(len(each.rows), _PAIRS)
    fire = []
    for side in (each.image, each.text):
        block = read_rows(side, 0, n)
        fire.append(np.asarray(block.toarray() if hasattr(block, "toarray") else block) != 0)
    other = np.roll(fire[1], n // 2, axis=0)
    return float((fire[0] & fire[1]).sum() / n), float((fire[0] & other).sum() / n)


def explain(
    each: Representation,
    sample: str | Path | Image.Image,
    *,
    device: str | None = None,
    vlm: VLM | None = None,
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
    vlm
        The run's model, if it is loaded already.

    Raises
    ------
    ModalensError
        If the text is empty or longer than 2**20 characters, the image cannot be read, or the model not be loaded.
    """
    mds = each.mds
    first, second = mds.modalities
    ready = _ready(each, sample)
    vlm = vlm or _model(each, device)
    side = second if isinstance(ready, str) else first
    embedded = vlm.embed_texts([ready]) if isinstance(ready, str) else vlm.embed_images([ready])
    values = (
        embedded
        if each.learned is None
        else each.learned.model.encode(embedded, "text" if side == second else "image")
    )
    block = read_rows(values, 0, 1)
    row = np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)[0]
    live = np.flatnonzero(row)
    order = live[np.argsort(-np.abs(row[live]), kind="stable")]
    energy = row**2
    total = energy.sum()
    frame = pd.DataFrame(
        {
            "feature": order,
            "value": row[order],
            "energy": energy[order] / total if total else 0.0,
            "score": mds.score[order],
            "label": mds.labels[order],
            "certainty": mds.probability[order],
        }
    )
    names = load_names(each)
    if names is not None:
        frame["name"] = names.standing()[order]
        for end in ("image", "text"):
            frame[f"name_{end}_detection"] = names.table[f"{end}_detection"].to_numpy()[order]
    interpretation = load_interpretation(each)
    if interpretation is not None:
        frame["verdict"] = interpretation.bridges.verdict[order]
        frame["partner"] = interpretation.bridges.partner[order]
    shares = {
        name: float(energy[mds.labels == name].sum() / total) if total else 0.0
        for name in (first, "cross", second, "dead")
    }
    if not shares["dead"]:
        del shares["dead"]
    return Explanation(frame, shares, side, each.name)


def _ready(each: Representation, sample: str | Path | Image.Image) -> str | Image.Image:
    """What the model is given; refused before it is loaded where it cannot be."""
    first, second = each.mds.modalities
    if isinstance(sample, str):
        text = plain_text(sample).strip()
        if not text.strip("\ufffd "):
            raise InputError("The text to explain is empty; give one that can be read.")
        if len(text) > MAX_CAPTION:
            raise InputError(
                f"The text to explain has {len(text):,} characters; give at most {MAX_CAPTION:,}."
            )
        return text
    if first != IMAGE.name:
        raise InputError(f"The run is of {many(first)} and {many(second)}; explain a {second}.")
    if not isinstance(sample, Path | Image.Image):
        raise InputError(f"The sample is {sample!r}; give a text, an image or the path of one.")
    return FileImage(sample, sample.name).load() if isinstance(sample, Path) else flatten_rgb(sample)


def _model(each: Representation, device: str | None) -> VLM:
    return open_vlm(each.store if each.embeddings is None else each.embeddings, device)
