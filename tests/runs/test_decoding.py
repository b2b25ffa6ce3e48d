from dataclasses import dataclass, field
from threading import Lock
from time import sleep
from typing import Any

import pytest
from PIL import Image

from modalens.errors import InputError
from modalens.runs import decoding
from modalens.runs.decoding import batches, decode_ahead, size_of


@dataclass
class Count:
    """Pictures that are decoded and not yet asked for."""

    now: int = 0
    most: int = 0
    lock: Any = field(default_factory=Lock)


@dataclass(frozen=True)
class Counted:
    key: str
    count: Count
    bad: bool = False

    def load(self) -> Image.Image:
        if self.bad:
            raise InputError(f"{self.key} is bad.")
        image = Image.new("RGB", (10, 10))
        with self.count.lock:
            self.count.now += 1
            self.count.most = max(self.count.most, self.count.now)
        return image


def test_large_pictures_wait_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "WAITING_BYTES", 3 * 400)
    count = Count()
    refs = [(number, Counted(str(number), count, bad=number == 5)) for number in range(60)]
    found = []
    for name, image, reason in decode_ahead(refs, 50):
        sleep(0.002)
        assert (image is None) == (name == 5) == (reason == "5 is bad.")
        with count.lock:
            count.now -= image is not None
        found.append(name)
    assert found == list(range(60))
    assert count.most <= 3 + 4 + 1  # the budget, one a thread, and the one in hand


def test_a_walk_that_is_left_leaves_no_thread_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "WAITING_BYTES", 400)
    walk = decode_ahead([(number, Counted("", Count())) for number in range(60)], 50)
    next(walk)
    walk.close()


def test_batches_of_large_pictures_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "BATCH_BYTES", 1000)
    pictures = [Image.new("RGB", (side, 10)) for side in (1, 1, 1, 1, 20, 90, 1, 1)]
    found = [list(batch) for batch in batches(enumerate(pictures), 3)]
    assert found == [[0, 1, 2], [3, 4], [5], [6, 7]]
    assert (size_of(pictures[0]), size_of("a text")) == (40, 0)
