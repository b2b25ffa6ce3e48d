"""Files that appear whole or not at all."""

import errno

import pytest
from safetensors import SafetensorError

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        OSError("30000000 requested and 29491200 written"),
        SafetensorError("Error while serializing: I/O error: File too large (os error 27)"),
    ],
)
def test_a_full_disk_is_known_by_its_number_and_by_the_words_of_numpy(tmp_path, error):
    path = tmp_path / "a.npy"

    def write() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            raise error

    with pytest.raises(ModalensError, match=r"full.* while writing .*a\.npy; what was finished is kept"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(OSError, match="something else"), whole_file(tmp_path / "a"):
        raise OSError("something else")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileExistsError, match="file"), whole_file(tmp_path / "file" / "within"):
        pass
    assert (tmp_path / "file").read_text() == "kept"
