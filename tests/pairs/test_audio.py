import csv
import struct
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
        "cut": "damaged format", "half": "cut short: 456 bytes of samples of 800", "silent": "has no samples",
        "nan": "finite",
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


def wav(
    fmt: bytes, data: bytes, *, riff: int | None = None, size: int | None = None, after: bytes = b""
) -> bytes:
    size = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", size) + data + after
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def form(code: int = 1, channels: int = 1, rate: int = 8000, block: int = 2, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", code, channels, rate, 7, block, bits)


NUMBERS = np.arange(-100, 100, dtype="<i2") * 300
DATA = NUMBERS.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        wav(form(), DATA),
        wav(form(), DATA, riff=0),
        wav(form(), DATA, riff=2**32 - 1, size=2**32 - 1),
        wav(form(), DATA, riff=0, size=0),
        wav(form(), DATA, riff=36, size=0),
        wav(form(), DATA, riff=2**31 - 1, size=2**31 - 37),
        wav(form(), DATA, riff=len(DATA) + 236),
        wav(form(), DATA, size=len(DATA) + 100),
        wav(form(), DATA, riff=12),
        wav(form(), DATA, after=b"LIST\x04\0\0\0abcd"),
        wav(form(), DATA, after=b"LIST\xff\xff\0\0abcd"),
        wav(form(), DATA + b"x"),
        wav(form(block=0), DATA),
        wav(form(0xFFFE) + struct.pack("<HHIH", 22, 16, 4, 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", DATA),
        b"RIFX" + struct.pack(">I", 36 + len(DATA)) + b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 1, 8000, 7, 2, 16)
        + b"data" + struct.pack(">I", len(DATA)) + NUMBERS.astype(">i2").tobytes(),
        b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", 28, 9, len(DATA), 9, 0)
        + b"fmt " + struct.pack("<I", 16) + form() + b"data\xff\xff\xff\xff" + DATA + b"LIST\x04\0\0\0abcd",
    ],
)  # fmt: skip
def test_a_sound_is_read_whatever_its_header_says_of_sizes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    sound = SoundFile(tmp_path / "a.wav", "a.wav").load()
    assert sound.rate == 8000
    np.testing.assert_allclose(sound.samples, NUMBERS / 2**15, atol=1e-7)


@pytest.mark.parametrize("width", [3, 5, 8])
def test_samples_of_any_width(tmp_path: Path, width: int) -> None:
    numbers = NUMBERS.astype("<i8") << (8 * width - 16)
    data = np.frombuffer(numbers.tobytes(), np.uint8).reshape(-1, 8)[:, :width].tobytes()
    (tmp_path / "a.wav").write_bytes(wav(form(block=width, bits=8 * width), data))
    found = SoundFile(tmp_path / "a.wav", "a.wav").load().samples
    np.testing.assert_allclose(found, NUMBERS / 2**15, atol=1e-7)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"RIFF", "is no WAV file: it has 4 bytes"),
        (b"fLaC" + bytes(100), "is FLAC and no WAV file"),
        (b"ID3" + bytes(100), "is MP3 and no WAV file"),
        (wav(form(), b""), "has no samples"),
        (wav(form(), DATA)[:36], "has no samples"),
        (wav(form(), b"x"), "has no samples"),
        (b"RIFF\0\0\0\0WAVE", "has no samples"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "has no format in front of its samples"),
        (wav(form(channels=0), DATA), "has no channels"),
        (wav(form(rate=0), DATA), "has 0 samples a second"),
        (wav(form(rate=2**32 - 1), DATA), "has 4294967295 samples a second"),
        (wav(form(bits=0, block=0), DATA), "samples of 0 bits"),
        (wav(form(code=3, bits=16), DATA), "samples of 16 bits"),
        (wav(form(code=85), DATA), "is coded as MP3; save it as plain PCM"),
        (wav(form(code=999), DATA), "is coded as format 999"),
        (wav(form()[:9], DATA), "damaged format"),
        (
            wav(form(rate=1000, bits=8, block=1), bytes(1_200_001)),
            "lasts 1200 s in 1 channels; at most 1200 s",
        ),
        (wav(form(), DATA)[:-100], "is cut short: 300 bytes of samples of 400"),
    ],
)
def test_what_is_wrong_with_a_sound_is_said_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ModalensError, match=rf"The sound .*a\.wav cannot be decoded: it .*{words}"):
        SoundFile(tmp_path / "a.wav", "a.wav").load()
