import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from modalens.pairs.decoder_warnings import no_decoder_warnings
from modalens.pairs.images import BytesImage


def test_importing_leaves_the_filters_alone() -> None:
    code = """
import numpy, scipy.io, PIL.Image, warnings
before = list(warnings.filters)
import modalens.pairs.images, modalens.pairs.audio
assert warnings.filters == before, set(warnings.filters) - set(before)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr


def test_decoding_in_threads_is_silent_and_puts_the_filters_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow warns of pictures over this size
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen, ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        list(pool.map(lambda _: BytesImage("a", file.getvalue()).load(), range(40)))
        assert warnings.filters == inside
    assert warnings.filters == before
    assert seen == []


def test_filters_stay_until_the_last_block_ends() -> None:
    before = list(warnings.filters)
    first, second = no_decoder_warnings(), no_decoder_warnings()
    with first:
        second.__enter__()
    assert warnings.filters != before
    second.__exit__(None, None, None)
    assert warnings.filters == before
