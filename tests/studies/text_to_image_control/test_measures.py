import numpy as np
import pytest
from PIL import Image

from modalens.studies.text_to_image_control.measures import (
    COLOUR,
    EDGES,
    OWN,
    REFERENCE,
    UNEDITED,
    SimilarityMeasures,
    colour_histogram,
    edge_statistics,
    hellinger,
)
from tests.studies.text_to_image_control.planted import ShapeJudge


def test_hellinger_is_a_distance():
    assert hellinger(np.array([0.25, 0.75]), np.array([0.25, 0.75])) == 0
    assert hellinger(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.1, 0.3])
    naive = np.sqrt(sum((a**0.5 - b**0.5) ** 2 for a, b in zip(p, q, strict=True)) / 2)
    assert hellinger(p, q) == pytest.approx(naive)


def test_colours_count_pixels_by_box():
    picture = Image.new("RGB", (64, 64), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 64, 16))
    shares = colour_histogram(picture)
    assert shares[7 * 64] == 0.75
    assert shares[7] == 0.25
    assert shares.sum() == 1


def stripes(step, across, dark=0):
    pixels = np.full((64, 64), 255, dtype=np.uint8)
    rows = np.arange(64) // step % 2 == 0
    pixels[rows] = dark
    return Image.fromarray(pixels if not across else pixels.T).convert("RGB")


def test_edges_tell_direction_and_strength_but_not_place():
    across = edge_statistics(stripes(8, True))
    assert across.sum() == pytest.approx(1)
    assert hellinger(across, edge_statistics(stripes(8, False))) > 0.4
    assert hellinger(across, edge_statistics(stripes(8, True, dark=200))) > 0.4
    shifted = Image.fromarray(np.roll(np.asarray(stripes(8, True)), 8, axis=1))
    assert hellinger(across, edge_statistics(shifted)) < 0.05
    assert edge_statistics(Image.new("RGB", (64, 64), "red"))[0] == 1


def test_similarity_counts_what_is_the_references_own(references):
    measures = SimilarityMeasures(references[:3], ShapeJudge(), "an animal")
    assert measures.names == (REFERENCE, OWN, UNEDITED, COLOUR, EDGES)
    found = measures([references[4], references[1]], 1)
    assert found[REFERENCE][1] == pytest.approx(1)
    assert found[COLOUR][1] == found[EDGES][1] == 0
    unit = ShapeJudge().embed(references)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    assert found[OWN][0] == pytest.approx(unit[4] @ unit[1] - (unit[4] @ unit[0] + unit[4] @ unit[2]) / 2)
    assert found[UNEDITED].tolist() == pytest.approx([1, unit[4] @ unit[1]])
