"""Contact sheets: small pictures in rows and columns under their names, as PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_LINE = 1.4  # of the letters' size


@dataclass(frozen=True)
class Layout:
    """Sizes of a contact sheet in pixels.

    Attributes
    ----------
    tile
        Side of a picture.
    gap
        Between pictures, and around them.
    left
        Room for the rows' names, left of the pictures; 0 for none.
    letters
        Size of the letters.
    """

    tile: int = 112
    gap: int = 4
    left: int = 0
    letters: int = 13

    @property
    def line(self) -> int:
        """Height of a line of text."""
        return round(self.letters * _LINE) + 2


def fitted(picture: Image.Image | None, side: int) -> Image.Image:
    """A picture, whole, on a square of light grey; the square alone where there is no picture."""
    square = Image.new("RGB", (side, side), "whitesmoke" if picture is not None else "lightgrey")
    if picture is not None:
        scale = side / max(picture.size)
        width, height = (max(1, round(length * scale)) for length in picture.size)
        small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        square.paste(small, ((side - width) // 2, (side - height) // 2))
    return square


def contact_sheet(
    rows: Sequence[Sequence[Image.Image | None]],
    *,
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    headings: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    layout: Layout | None = None,
) -> Image.Image:
    """Draw pictures in rows, on white.

    Parameters
    ----------
    rows
        Pictures; a grey square stands where one is missing.
    columns
        Names over the columns; none by default.
    names
        Names left of the rows, which may have several lines; none by default.
    headings
        A line over each row; none by default.
    captions
        A line under each picture; none by default.
    layout
        Sizes.
    """
    size = layout or Layout()
    head = size.line + size.gap if columns else size.gap
    above, below = (size.line if given else 0 for given in (headings, captions))
    step = above + size.tile + below + size.gap
    width = size.gap + size.left + max(map(len, rows)) * (size.tile + size.gap)
    sheet = Image.new("RGB", (width, head + len(rows) * step), "white")
    pen, letters = ImageDraw.Draw(sheet), ImageFont.load_default(size.letters)

    def left_of(column: int) -> int:
        return size.gap + size.left + column * (size.tile + size.gap)

    for column, name in enumerate(columns):
        place = (left_of(column) + size.tile / 2, head / 2)
        pen.text(place, name, fill="black", font=letters, anchor="mm")
    for row, pictures in enumerate(rows):
        top = head + row * step
        if headings:
            pen.text((size.gap, top), headings[row], fill="black", font=letters)
        if names:
            place = (size.gap, top + above + size.tile / 2)
            pen.multiline_text(place, names[row], fill="black", font=letters, anchor="lm")
        for column, picture in enumerate(pictures):
            sheet.paste(fitted(picture, size.tile), (left_of(column), top + above))
            if captions:
                place = (left_of(column) + size.tile / 2, top + above + size.tile + 2)
                pen.text(place, captions[row][column], fill="black", font=letters, anchor="ma")
    return sheet


def png_bytes(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
