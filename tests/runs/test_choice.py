"""What --features means."""

import logging

import pytest

from modalens.errors import InputError
from modalens.runs.choice import all_of, one_of


def test_the_only_learned_set_is_taken_and_of_several_one_must_be_named(caplog):
    assert one_of(None, ["a"]) == "a"
    assert one_of("raw", ["a"]) == "raw"
    assert one_of("b", ["a", "b"]) == "b"
    with pytest.raises(InputError, match="several sets of features; choose with --features: raw, a, b"):
        one_of(None, ["a", "b"])
    with pytest.raises(InputError, match="no features 'c'; it has raw, a, b"):
        one_of("c", ["a", "b"])
    with caplog.at_level(logging.WARNING):
        assert one_of(None, []) == "raw"
    assert "No features were learned" in caplog.text


def test_all_are_taken_unless_one_is_named():
    assert all_of(None, ["a", "b"]) == ["raw", "a", "b"]
    assert all_of(None, []) == ["raw"]
    assert all_of("b", ["a", "b"]) == ["b"]
    with pytest.raises(InputError, match="no features 'c'"):
        all_of("c", ["a"])
