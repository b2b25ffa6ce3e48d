"""A planted space and its bridges, made once for all tests that only read them."""

import pytest

from modalens.interpret.bridges import bridges
from tests.interpret.planted_codes import plant_codes


@pytest.fixture(scope="session")
def planted():
    return plant_codes(seed=3)


@pytest.fixture(scope="session")
def links(planted):
    return bridges(planted.image, planted.text, planted.decoder, planted.mds)
