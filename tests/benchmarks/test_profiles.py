"""What profiles tell of work that is known to wait, to stay in Python, or to leave it."""

import time

import numpy as np
import pytest
from benchmarks.profiles import profiled, sampling, waited


def test_work_that_waits_is_told_from_work_that_computes() -> None:
    shares = [waited(work)[2] for work in (lambda: time.sleep(0.3), lambda: _count(5_000_000))]
    if shares[0] is None:
        pytest.skip("this system does not tell what threads do")
    assert shares[0] > 0.8
    assert shares[1] is not None
    assert shares[1] < 0.3


def test_functions_of_python_are_told_from_compiled_ones() -> None:
    numbers = np.random.default_rng(0).random(2_000_000)
    ours, compiled = profiled(lambda: _count(300_000)), profiled(lambda: numbers.sort())
    assert ours["python_at_most"] > 0.9
    assert next(iter(ours["functions"])).endswith("test_profiles._count")
    assert compiled["python_at_most"] < 0.1
    assert next(iter(compiled["functions"])) == "method 'sort' of 'numpy.ndarray' objects"


def test_the_interpreter_is_seen_where_it_can_be() -> None:
    with sampling() as inside:
        _count(3_000_000)
    assert not inside or inside[0] > 0.5


def _count(number: int) -> int:
    total = 0
    for each in range(number):
        total += each
    return total
