"""The images before and after, as one grid."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from modalens.errors import ModalensError

_TILE = 112
_HEAD = 30
_GAP = 4


def grid(columns: Mapping[str, Sequence[Image.Image]], tile: int = _TILE) -> Image.Image:
    """Images in columns under their names, on white.

    Parameters
    ----------
    columns
        Images by what stands over them; each column holds as many.
    tile
        Pixels of a square image in the grid.

    Raises
    ------
    ModalensError
        If there is no column, or one holds another number of images.
    """
    counts = {len(images) for images in columns.values()}
    if len(counts) != 1 or counts == {0}:
        raise ModalensError("A grid needs columns with one number of images each, at least one.")
    step = tile + _GAP
    sheet = Image.new("RGB", (step * len(columns) + _GAP, _HEAD + step * counts.pop() + _GAP), "white")
    draw, letters = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, (name, images) in enumerate(columns.items()):
        left = _GAP + column * step
        draw.text((left + tile / 2, _HEAD / 2), name, fill="black", font=letters, anchor="mm")
        for row, image in enumerate(images):
            sheet.paste(
                image.convert("RGB").resize((tile, tile), Image.Resampling.LANCZOS),
                (left, _HEAD + row * step),
            )
    return sheet
