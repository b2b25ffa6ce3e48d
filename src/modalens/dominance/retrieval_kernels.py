"""Compiled counts of the candidates that are as near as the right one, decided in double precision."""

from typing import Any

from modalens.compiled import compiled, compiled_in_any_order


@compiled
def products(rows: Any, others: Any, of_row: Any, found: Any) -> None:
    """Product of each row with the one of ``others`` that ``of_row`` names."""
    for row in range(len(of_row)):
        found[row] = _product(rows[row], others[of_row[row]])


@compiled
def count_nearer(
    similar: Any,
    margin: float,
    tie: float,
    images: Any,
    texts: Any,
    first_image: int,
    first_text: int,
    last_text: int,
    image_of_text: Any,
    best_of_image: Any,
    best_of_text: Any,
    of_images: Any,
    of_texts: Any,
) -> None:
    """Count wrong candidates that are as near as the right one, and those that tie with it, both ways.

    Parameters
    ----------
    similar
        Cosines (b, t) of images from ``first_image`` on with all texts.
    margin
        How far off they may be; those that lie so near the bound that it matters are computed again.
    tie
        Cosines that differ by less are equal.
    images, texts
        Unit rows in double precision; not looked at where the margin is 0.
    first_text, last_text
        Texts that are looked at.
    best_of_image, best_of_text
        Cosine of the nearest right candidate.
    of_images, of_texts
        Counts (n, 2) of those that are as near, and of those that tie; added to.
    """
    wide = tie + margin
    for row in range(similar.shape[0]):
        image = first_image + row
        best = best_of_image[image]
        for text in range(first_text, last_text):
            over, over_text = similar[row, text] - best, similar[row, text] - best_of_text[text]
            if (over < -wide and over_text < -wide) or image_of_text[text] == image:
                continue
            if margin > 0.0 and (abs(over) <= wide or abs(over_text) <= wide):
                exact = _product(images[image], texts[text])
                over, over_text = exact - best, exact - best_of_text[text]
            of_images[image, 0] += over >= -tie
            of_images[image, 1] += abs(over) < tie
            of_texts[text, 0] += over_text >= -tie
            of_texts[text, 1] += abs(over_text) < tie


@compiled_in_any_order
def _product(x: Any, y: Any) -> float:
    total = 0.0
    for j in range(len(x)):
        total += x[j] * y[j]
    return total
