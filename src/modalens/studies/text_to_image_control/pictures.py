"""The grid of pictures: a row a set of features, a column a strength (the papers' Figure 8)."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from modalens.edit import IndexSet
from modalens.edit.index_sets import RANDOM
from modalens.studies.result import Picture
from modalens.studies.text_to_image_control.sweep import TILE, Sweep

_LEFT, _GAP, _HEAD = 96, 4, 22


def grid_picture(sweep: Sweep, number: int, reference: Image.Image, prompt: str, seed: int) -> Picture:
    """The grid of one reference, which stands at its upper left; of the random sets the first is drawn."""
    chosen = _first_random(sweep.sets)
    rows = [(sweep.sets[place], sweep.shown[number][place]) for place in chosen]
    step = TILE + _GAP
    top = _HEAD + TILE + _GAP
    size = (_LEFT + step * len(sweep.strengths) + _GAP, top + step * len(rows) + _GAP)
    sheet = Image.new("RGB", size, "white")
    pen, letters = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    pen.text((_GAP, _HEAD / 2), "reference", fill="black", font=letters, anchor="lm")
    sheet.paste(_whole(reference), (_GAP, _HEAD))
    for column, strength in enumerate(sweep.strengths):
        centre = _LEFT + column * step + TILE / 2
        pen.text((centre, top - _GAP), f"{strength:.2g}", fill="black", font=letters, anchor="mb")
    for row, (each, pictures) in enumerate(rows):
        middle = top + row * step + TILE / 2
        pen.multiline_text(
            (_GAP, middle), f"{each.name}\n{len(each)} features", fill="black", font=letters, anchor="lm"
        )
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (_LEFT + column * step, top + row * step))
    caption = (
        f"“{prompt}”, moved towards the reference at the upper left on the features of a row with the strength "
        f"of a column; reference {number + 1}, seed {seed}."
    )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return Picture(buffer.getvalue(), caption)


def _first_random(sets: Sequence[IndexSet]) -> list[int]:
    random = [number for number, each in enumerate(sets) if each.kind == RANDOM]
    return [number for number in range(len(sets)) if number not in random[1:]]


def _whole(image: Image.Image) -> Image.Image:
    """The image within a tile, on light grey."""
    square = Image.new("RGB", (TILE, TILE), "whitesmoke")
    small = image.convert("RGB")
    small.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    square.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return square
