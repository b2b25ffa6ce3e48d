import pytest

import modalens
from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.pairs.sources import SOURCES


@pytest.mark.parametrize("source", ["", "flickr", "hub:name", "foldr:x", "/some/folder"])
def test_an_unknown_source_lists_the_known_ones(source):
    with pytest.raises(ModalensError, match="Unknown source") as caught:
        load_pairs(source)
    for prefix, kind in SOURCES.items():
        assert kind.example.startswith(prefix)
        assert kind.example in str(caught.value)


def test_an_unknown_option_is_named(tmp_path):
    with pytest.raises(ModalensError, match="unexpected keyword argument 'sizes'"):
        load_pairs("openmoji", sizes=3)


def test_the_public_face():
    assert modalens.load_pairs is load_pairs
