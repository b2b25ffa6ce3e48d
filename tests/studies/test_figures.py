"""What stands under every study's figures."""

import re

import pytest

from modalens.studies.figure import StudyFigure
from modalens.studies.registry import study_figures, study_names

FIGURES = [each for name in study_names() for each in study_figures(name)]


@pytest.mark.parametrize("figure", FIGURES, ids=[each.name for each in FIGURES])
def test_captions_are_sentences_on_any_modalities(figure: StudyFigure) -> None:
    caption = figure.caption.format(first="audio", second="text", firsts="sounds", seconds="texts")
    assert "audios" not in caption
    for text in (caption, figure.alt):
        assert re.fullmatch(r"[A-Z]\S*( \S+)*\.", text), text
