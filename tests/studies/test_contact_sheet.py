import io
import warnings

import numpy as np
from PIL import Image

from modalens.studies.contact_sheet import Layout, contact_sheet, png_bytes


def test_every_picture_is_in_its_place() -> None:
    red, blue = Image.new("RGB", (30, 30), "red"), Image.new("RGB", (5, 5), "blue")
    sheet = contact_sheet([[red, blue], [blue, blue]], columns=["one", "two"], layout=Layout(tile=20))
    values = np.asarray(sheet)
    assert values.shape[1] == 2 * 24 + 4
    assert (values == (255, 0, 0)).all(axis=2).sum() == 400
    assert (values == (0, 0, 255)).all(axis=2).sum() == 1200


def test_names_headings_and_captions_have_room() -> None:
    black = Image.new("RGB", (9, 9), "red")
    plain = contact_sheet([[black]])
    named = contact_sheet(
        [[black]], names=["a\nb"], headings=["above"], captions=[["below"]], layout=Layout(left=50)
    )
    assert named.width == plain.width + 50
    assert named.height == plain.height + 2 * Layout().line


def test_pictures_of_any_shape_fit_and_missing_ones_are_grey() -> None:
    rows = [[Image.new("RGB", (4000, 1), "red"), Image.new("L", (5, 5))], [None], []]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sheet = contact_sheet(rows, captions=[["0.1", "0.2"], ["0.3"], []])
    opened = Image.open(io.BytesIO(png_bytes(sheet)))
    assert opened.format == "PNG"
    assert opened.width < 400
    assert (211, 211, 211) in {colour for _, colour in opened.getcolors(maxcolors=1_000_000)}
