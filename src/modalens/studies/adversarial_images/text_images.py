"""Write a text into an image, as large as it fits."""

from bisect import bisect_left
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from modalens.errors import ModalensError

_SMALLEST = 8  # pixels a letter; below, no one reads it
_MARGIN = 0.05


def write_text(
    text: str,
    *,
    side: int = 224,
    on: Image.Image | None = None,
    font: str | Path | None = None,
    given_by: str = "",
) -> Image.Image:
    """A white square with a text on it, or an image with a text across its lower third.

    Parameters
    ----------
    text
        Wrapped at its spaces, in black, in the largest size that fits.
    side
        Pixels of the white square.
    on
        An image to write on instead; it is left as it is. The letters get a white rim there.
    font
        A font file; by default the one that comes with Pillow, which has Latin letters only.

    given_by
        The option that the text comes from, which the sentence about one that does not fit names.

    Raises
    ------
    ModalensError
        If the text is empty or too long to be read, or the font cannot be read or lacks a letter.
    """
    words = text.split()
    if not words:
        raise ModalensError("There is no text to write; give one with at least one letter.")
    picture = Image.new("RGB", (side, side), "white") if on is None else on.convert("RGB")
    width, height = picture.size
    room = (width * (1 - 2 * _MARGIN), height * ((1 if on is None else 1 / 3) - 2 * _MARGIN))
    fitted = _fitted(words, room, font, rimmed=on is not None)
    if fitted is None:
        named = f" ({given_by})" if given_by else ""
        raise ModalensError(
            f"The text {_start(words)!r}{named} has {len(' '.join(words))} letters, which do not fit a picture of "
            f"{width} x {height} pixels; shorten it, or take larger pictures."
        )
    lines, letters, rim = fitted
    draw = ImageDraw.Draw(picture)
    middle = height / 2 if on is None else height * 5 / 6
    draw.multiline_text(
        (width / 2, middle),
        lines,
        fill="black",
        font=letters,
        anchor="mm",
        align="center",
        stroke_width=rim,
        stroke_fill="white",
    )
    return picture


def _fitted(
    words: list[str], room: tuple[float, float], font: str | Path | None, rimmed: bool
) -> tuple[str, ImageFont.FreeTypeFont, int] | None:
    """The wrapped text, the largest font in which it fits, and the width of its rim; None where it fits in none."""
    _require_letters(words, _font(font, 16))

    def fits(size: int) -> bool:
        letters, rim = _font(font, size), _rim(size, rimmed)
        lines = _wrapped(words, letters, room[0])
        left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, font=letters, stroke_width=rim)
        return right - left <= room[0] and bottom - top <= room[1]

    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    sizes = range(_SMALLEST, max(int(room[1]), _SMALLEST) + 1)
    found = bisect_left(sizes, True, key=lambda size: not fits(size))  # the first too large
    if found == 0:
        return None
    size = sizes[found - 1]
    letters = _font(font, size)
    return _wrapped(words, letters, room[0]), letters, _rim(size, rimmed)


def _start(words: list[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _rim(size: int, rimmed: bool) -> int:
    return max(size // 10, 1) if rimmed else 0


def _wrapped(words: list[str], letters: ImageFont.FreeTypeFont, width: float) -> str:
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if letters.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _font(font: str | Path | None, size: int) -> ImageFont.FreeTypeFont:
    try:
        found = ImageFont.load_default(size) if font is None else ImageFont.truetype(str(font), size)
    except OSError as error:
        raise ModalensError(
            f"The font {font} cannot be read ({error}); name a TrueType font file."
        ) from error
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise ModalensError("This Pillow cannot draw letters of any size; install one with FreeType.")
    return found


def _require_letters(words: list[str], letters: ImageFont.FreeTypeFont) -> None:
    missing = bytes(letters.getmask("\uffff"))  # what the font draws for a letter that it does not have
    for letter in dict.fromkeys("".join(words)):
        if bytes(letters.getmask(letter)) == missing:
            raise ModalensError(f"The font has no letter {letter!r}; name a font file that has it.")
