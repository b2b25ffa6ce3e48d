import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from modalens.errors import ModalensError
from modalens.pairs import Pair, Skipped, load_pairs
from modalens.pairs.audio import SoundFile

WAVE = np.sin(np.arange(400) / 7) * 0.8


def saved(path: Path, samples: np.ndarray, rate: int = 8000) -> SoundFile:
    wavfile.write(path, rate, samples)
    return SoundFile(path, path.name)


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        (WAVE.astype(np.float32), 1e-7),
        (WAVE, 1e-7),
        ((WAVE * 2**31).astype(np.int32), 1e-7),
        ((WAVE * 2**15).astype(np.int16), 2**-15),
        (np.round(WAVE * 2**7 + 128).astype(np.uint8), 2**-8),
    ],
    ids=["float32", "float64", "int32", "int16", "uint8"],
)
def test_every_kind_of_samples_gives_the_same_amplitudes(
    tmp_path: Path, samples: np.ndarray, error: float
) -> None:
    sound = saved(tmp_path / "a.wav", samples, 11025).load()
    assert (sound.rate, sound.samples.dtype) == (11025, np.float32)
    np.testing.assert_allclose(sound.samples, WAVE, atol=error)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([WAVE, -0.5 * WAVE], axis=1)
    sound = saved(tmp_path / "a.wav", (both * 2**15).astype(np.int16)).load()
    np.testing.assert_allclose(sound.samples, 0.25 * WAVE, atol=2**-15)


def test_what_is_no_sound_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    saved(tmp_path / "silent.wav", np.empty(0, np.int16))
    saved(tmp_path / "nan.wav", np.array([0, np.nan], np.float32))
    whole = saved(tmp_path / "whole.wav", (WAVE * 2**15).astype(np.int16)).path.read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:30])
    (tmp_path / "half.wav").write_bytes(whole[:500])
    for name, words in {
        "none": "does not exist", "text": "cannot be decoded", "empty": "cannot be decoded",
        "cut": "cut short", "half": "cut short: 492 bytes of 836", "silent": "one channel of samples", "nan": "finite",
    }.items():  # fmt: skip
        with pytest.raises(ModalensError, match=words) as caught:
            SoundFile(tmp_path / f"{name}.wav", name).load()
        assert "\n" not in str(caught.value)
        assert f"{name}.wav" in str(caught.value)


@pytest.mark.parametrize("column", ["audio", "sound"])
def test_rows_become_pairs_of_sounds(tmp_path: Path, column: str) -> None:
    (tmp_path / f"{column}s").mkdir()
    saved(tmp_path / "a.wav", WAVE)
    saved(tmp_path / f"{column}s" / "b.wav", WAVE / 2)
    rows = [[column, "caption", "split"], ["a.wav", " a tone ", "train"], ["b.wav", "b", ""],
            ["c.wav", "c", ""], ["", "d", ""], ["a.wav", "a tone", ""]]  # fmt: skip
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    source = load_pairs(f"csv:{tmp_path / 't.csv'}")
    assert source.modalities == ("audio", "text")
    items = list(source.scan())
    pairs = [item for item in items if isinstance(item, Pair)]
    assert [(pair.ref.key, pair.text) for pair in pairs] == [("a.wav", "a tone"), (f"{column}s/b.wav", "b")]
    np.testing.assert_allclose(pairs[1].image.samples, WAVE / 2, atol=1e-7)
    assert pairs[0].label == {"split": "train"}
    reasons = [item.reason for item in items if isinstance(item, Skipped)]
    for reason, words in zip(reasons, [f"The {column} 'c.wav' does not", "names no", "earlier"], strict=True):
        assert words in reason


def test_a_table_holds_one_kind(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,audio,caption\n")
    with pytest.raises(ModalensError, match="has the columns image and audio; keep"):
        load_pairs(f"csv:{tmp_path / 't.csv'}")
    (tmp_path / "t.csv").write_text("image,caption\n")
    assert load_pairs(f"csv:{tmp_path / 't.csv'}").modalities == ("image", "text")
