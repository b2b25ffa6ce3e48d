"""Samples in the order of a number, as a strip of pictures or a list of texts."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont

SAMPLES = 8
_TILE, _GAP, _LINE = 112, 10, 22


def spread_out(
    share: Float[np.ndarray, " n"], keys: Int[np.ndarray, " n"], count: int = SAMPLES, seed: int = 0
) -> Int[np.ndarray, " k"]:
    """Places of samples evenly spread over the order of a number, lowest first, one of each group.

    Parameters
    ----------
    share
        The number; NaN leaves a sample out.
    keys
        Samples that share a key are of one group, of which one is drawn.
    count
        How many; all where there are fewer groups.
    seed
        Of the draw within groups.
    """
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isnan(share)))
    one_each = shuffled[np.unique(keys[shuffled], return_index=True)[1]]
    ordered = one_each[np.argsort(share[one_each], kind="stable")]
    places = np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(np.int64))
    chosen: np.ndarray = ordered[places] if len(ordered) else ordered
    return chosen


def draw_strip(rows: Sequence[tuple[str, Sequence[tuple[Image.Image | None, str]]]]) -> bytes:
    """Draw rows of small pictures, each with a line under it and each row with a heading, as a PNG.

    Parameters
    ----------
    rows
        Heading, and (picture, line) in order; a picture that is missing is a grey square.
    """
    columns = max(len(samples) for _, samples in rows)
    height = _TILE + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_TILE + _GAP), _GAP + len(rows) * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (heading, samples) in enumerate(rows):
        top = _GAP + row * height
        pen.text((_GAP, top), heading, fill="black", font=font)
        for column, (picture, line) in enumerate(samples):
            left = _GAP + column * (_TILE + _GAP)
            sheet.paste(_tile(picture), (left, top + _LINE))
            pen.text((left + _TILE // 2, top + _LINE + _TILE + 2), line, fill="black", font=font, anchor="ma")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _tile(picture: Image.Image | None) -> Image.Image:
    """The picture on a white square, whole."""
    square = Image.new("RGB", (_TILE, _TILE), "white" if picture is not None else "lightgrey")
    if picture is not None:
        small = picture.convert("RGB")
        small.thumbnail((_TILE, _TILE))
        square.paste(small, ((_TILE - small.width) // 2, (_TILE - small.height) // 2))
    return square
