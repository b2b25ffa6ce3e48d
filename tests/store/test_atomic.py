"""Files that appear whole or not at all."""

import errno

import pytest

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("30000000 requested and 29491200 written")],
)
def test_a_full_disk_is_known_by_its_number_and_by_the_words_of_numpy(tmp_path, error):
    path = tmp_path / "a.npy"

    def write() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            raise error

    with pytest.raises(ModalensError, match=r"full while writing .*a\.npy; what was finished is kept"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(OSError, match="something else"), whole_file(tmp_path / "a"):
        raise OSError("something else")
