"""What samples look like in the order of their share of a class: a strip of images, texts, and words."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from PIL import Image

from modalens.arrays import Block
from modalens.dominance.result import Dominance
from modalens.statistics.buckets import resampled_means
from modalens.statistics.intervals import interval
from modalens.studies.attribute_probing.spread import spread_out
from modalens.studies.attribute_probing.strongest import STRONGEST, class_share
from modalens.studies.attribute_probing.words import Words, words_by_share
from modalens.studies.contact_sheet import Layout, contact_sheet, png_bytes
from modalens.studies.result import Picture
from modalens.studies.stats.heldout import LabelledPairs

_RESAMPLES = 500

# From rows of pairs to their pictures, None for each that is gone.
Pictures: TypeAlias = Callable[[Sequence[int]], Sequence[Image.Image | None]]


@dataclass
class Shown:
    """What is shown of the samples."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)


def show_shares(
    blocks: Mapping[str, Block],
    pairs: LabelledPairs,
    mds: Dominance,
    *,
    captions: Sequence[str] | np.ndarray | None,
    pictures: Pictures | None,
    left_out: Collection[str],
    seed: int,
) -> Shown:
    """Order samples by the share of their own side's class among their strongest features.

    Parameters
    ----------
    blocks
        Features of the pairs by modality, image side first.
    pairs
        The labelled pairs.
    mds
        Scores of the features; images are ordered by the image side's class, texts by the text side's.
    captions, pictures
        Text of every pair by row, and a way to its picture; None leaves them out.
    left_out
        Words not to count.
    seed
        Of the choice of samples and of shuffles.

    Returns
    -------
    Shown
        Table ``shares``: for each value the mean ``share`` with a bootstrap interval over groups, beside the
        class's part ``of_features`` that are live. With captions ``texts`` and ``words`` of the text side; with
        pictures the picture ``images_by_share``.
    """
    shown = Shown()
    shares = {
        modality: class_share(x, np.isin(np.arange(x.shape[1]), mds.indices(modality)))
        for modality, x in blocks.items()
    }
    of_features = {each: len(mds.indices(each)) / max(int((mds.pairs > 0).sum()), 1) for each in blocks}
    shown.tables["shares"] = _share_table(shares, of_features, pairs, seed)
    image, text = mds.modalities
    if pictures is not None:
        shown.pictures["images_by_share"] = _strip(shares[image], image, pairs, pictures, seed)
    if captions is not None:
        said = np.array([captions[row] for row in pairs.rows], dtype=object)
        shown.tables["texts"] = _texts(shares[text], said, pairs, seed)
        found = {
            value: words_by_share(said[part], shares[text][part], pairs.keys[part], left_out, seed=seed)
            for value, part in _parts(pairs)
        }
        tables = [
            each.table.assign(value=value).set_index("value").reset_index()
            for value, each in found.items()
            if each
        ]
        if tables:
            shown.tables["words"] = pd.concat(tables, ignore_index=True)
        shown.statements += [_about_words(value, text, each) for value, each in found.items() if each]
    return shown


def _parts(pairs: LabelledPairs) -> list[tuple[str, Bool[np.ndarray, " n"]]]:
    return [(value, pairs.labels == number) for number, value in enumerate(pairs.names)]


def _share_table(
    shares: Mapping[str, Float[np.ndarray, " n"]],
    of_features: Mapping[str, float],
    pairs: LabelledPairs,
    seed: int,
) -> pd.DataFrame:
    rows = []
    for modality, share in shares.items():
        for value, part in _parts(pairs):
            part = part & ~np.isnan(share)
            low, high = (np.nan, np.nan)
            if part.any():
                low, high = interval(
                    resampled_means(share[part][None], pairs.keys[part], _RESAMPLES, seed)[0]
                )
            rows.append(
                {
                    "input": modality,
                    "value": value,
                    "class": modality,
                    "samples": int(part.sum()),
                    "share": float(share[part].mean()) if part.any() else np.nan,
                    "share_low": low,
                    "share_high": high,
                    "of_features": of_features[modality],
                }
            )
    return pd.DataFrame(rows)


def _strip(
    share: Float[np.ndarray, " n"], modality: str, pairs: LabelledPairs, pictures: Pictures, seed: int
) -> Picture:
    rows, captions = [], []
    for _, part in _parts(pairs):
        places = np.flatnonzero(part)
        places = places[spread_out(share[places], pairs.keys[places], seed=seed)]
        rows.append(pictures(pairs.rows[places].tolist()))
        captions.append([f"{share[place]:.2f}" for place in places])
    layout = Layout(gap=10, letters=15)
    return Picture(
        png_bytes(contact_sheet(rows, headings=pairs.names, captions=captions, layout=layout)),
        f"Images of each value, one of a group, ordered by the share of {modality} features among their "
        f"{STRONGEST} strongest (the number under each), evenly spread from lowest to highest and not chosen "
        "by looks.",
    )


def _texts(share: Float[np.ndarray, " n"], said: np.ndarray, pairs: LabelledPairs, seed: int) -> pd.DataFrame:
    rows = []
    for value, part in _parts(pairs):
        places = np.flatnonzero(part)
        places = places[spread_out(share[places], pairs.keys[places], seed=seed)]
        rows += [
            {"value": value, "share": float(share[place]), "text": str(said[place] or "")} for place in places
        ]
    return pd.DataFrame(rows, columns=["value", "share", "text"])


def _about_words(value: str, modality: str, found: Words) -> str:
    apart = (
        "differ more than by chance"
        if found.p < 0.05
        else "cannot be told from texts with each other's shares"
    )
    return (
        f"Of {value} texts, those with the lowest and with the highest share of {modality} features {apart} in their "
        f"words: distance {found.distance:.2f}, by chance {found.chance:.2f} ({found.chance_low:.2f} to "
        f"{found.chance_high:.2f}; p = {found.p:.3f}, not corrected)."
    )
