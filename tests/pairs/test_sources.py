import subprocess
import sys
from pathlib import Path

import pytest

import modalens
from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.pairs.sources import SOURCES
from tests.fakes import FakePairs, colour_pairs


@pytest.mark.parametrize("source", ["", "flickr", "hub:name", "foldr:x", "/some/folder"])
def test_an_unknown_source_lists_the_known_ones(source: str) -> None:
    with pytest.raises(ModalensError, match="Unknown source") as caught:
        load_pairs(source)
    examples = str(caught.value).partition("by example: ")[2].rstrip(".").split(", ")
    assert [example.partition(":")[0] for example in examples] == list(SOURCES)


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="unexpected keyword argument 'sizes'"):
        load_pairs("openmoji", sizes=3)


class FewColours(FakePairs):
    """A source as somebody would add it: a class in a file, and its line in the list."""

    example = "colours:3"

    def __init__(self, location: str) -> None:
        super().__init__(colour_pairs(int(location)))


def test_a_source_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "colours", "tests.pairs.test_sources:FewColours")
    assert load_pairs("colours:3").count() == 3
    with pytest.raises(ModalensError, match="colours:3"):
        load_pairs("nonsense")


def test_sources_are_imported_when_they_are_used() -> None:
    code = "import sys, modalens.pairs, modalens.towers; print([m for m in sys.modules if 'demo' in m or 'coco' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == "[]", found.stderr


def test_the_public_face() -> None:
    assert modalens.load_pairs is load_pairs
