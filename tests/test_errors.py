"""Exceptions by kind."""

import pickle

import pytest

from modalens.errors import InputError, MissingPackageError, ModalensError, StoreError


@pytest.mark.parametrize("kind", [InputError, StoreError, MissingPackageError])
def test_every_kind_is_a_modalens_error_and_a_value_error(kind: type[ModalensError]) -> None:
    assert issubclass(kind, ModalensError)
    assert issubclass(kind, ValueError)


def test_a_missing_package_names_the_extra_also_after_a_trip_between_processes() -> None:
    error = MissingPackageError.of("The engine ray", "ray", "ray")
    error = pickle.loads(pickle.dumps(error))
    assert str(error) == "The engine ray needs the package ray; install it with pip install 'modalens[ray]'."
    assert error.extra == "ray"


def test_a_sentence_that_quotes_thousands_of_letters_is_cut_in_the_middle() -> None:
    said = str(InputError(f"There is no column {'x' * 100_000}; choose one of a, b."))
    assert len(said) < 3_000
    assert said.startswith("There is no column xxx")
    assert said.endswith("; choose one of a, b.")


def test_names_that_a_sentence_quotes_end_no_line_and_move_no_cursor() -> None:
    said = str(InputError("The file has no tensor 'a'; it has b\r\nc, \x1b[2Jd, \u2028e."))
    assert said == "The file has no tensor 'a'; it has b  c,  [2Jd,  e."
