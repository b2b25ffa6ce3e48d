"""Reading ahead, and half precision in compiled loops."""

import threading

import numpy as np
import pytest

from modalens.compiled import compiled, number, numbers, read_ahead


def test_the_next_piece_is_read_while_the_caller_is_at_one():
    begun = [threading.Event() for _ in range(4)]

    def read(piece: int) -> int:
        begun[piece].set()
        return piece

    for piece in read_ahead(read, [(0,), (1,), (2,), (3,)]):
        assert piece == 3 or begun[piece + 1].wait(10)
        assert not any(each.is_set() for each in begun[piece + 2 :])
    assert list(read_ahead(read, [])) == []


def test_what_fails_in_reading_fails_in_its_turn():
    def read(piece: int) -> float:
        return 1 / piece

    pieces = read_ahead(read, [(2,), (1,), (0,), (1,)])
    assert [next(pieces), next(pieces)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(pieces)


@compiled
def widen(values, into):
    for place in range(len(values)):
        into[place] = number(values[place])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_are_read_as_they_are_stored(dtype):
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)].astype(dtype)
    found = np.empty(len(values))
    widen(numbers(values), found)
    np.testing.assert_array_equal(found, values.astype(np.float64))
    assert (np.signbit(found) == np.signbit(values)).all()
