import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

import modalens
from modalens.errors import ModalensError
from modalens.pairs import find_modality
from modalens.pairs.audio import Audio
from modalens.pairs.modality import IMAGE, MODALITIES, SOUND, TEXT, Preview
from modalens.towers.samples.registry import BUNDLED


@dataclass(frozen=True)
class Ref:
    """What a source gives in place of a sample."""

    sample: Any
    key: str = "a"

    def load(self) -> Any:
        return self.sample


def tone(seconds: float, rate: int, pitch: float = 440.0) -> Audio:
    return Audio(np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate), rate)


def test_names_are_those_of_manifests() -> None:
    assert list(MODALITIES) == ["image", "text", "audio"]
    assert [find_modality(name).plural for name in MODALITIES] == ["images", "texts", "sounds"]
    with pytest.raises(ModalensError, match="no modality 'smell'; there are image, text, audio"):
        find_modality("smell")


def test_judges_come_with_modalens_or_are_the_runs_own() -> None:
    assert [each.judge for each in MODALITIES.values() if each.judge != "own"] == list(BUNDLED)
    assert SOUND.judge == "own"


def test_decoding_gives_what_towers_take() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    decoded = IMAGE.decode(Ref(clear))
    assert (decoded.mode, decoded.getpixel((0, 0))) == ("RGB", (255, 255, 255))
    sound = tone(0.1, 8000)
    assert SOUND.decode(Ref(sound)) is sound
    assert TEXT.decode(" a dog\n") == "a dog"


@pytest.mark.parametrize(
    ("modality", "sample", "words"),
    [
        (IMAGE, tone(0.1, 8000), "gives Audio in place of images; take a source"),
        (SOUND, Image.new("RGB", (4, 4)), "gives Image in place of sounds; take a source"),
        (TEXT, None, "not text"),
        (TEXT, "  ", "empty"),
    ],
)
def test_another_modality_is_refused(modality: Any, sample: Any, words: str) -> None:
    with pytest.raises(ModalensError, match=words):
        modality.clean(sample)


def test_pictures_become_thumbnails_and_stay_as_they_are() -> None:
    picture = Image.effect_noise((400, 200), 60).convert("RGB")
    mime, data, cut = IMAGE.preview(picture)
    shown = Image.open(io.BytesIO(data))
    assert (mime, shown.format, shown.size, cut) == ("image/webp", "WEBP", (96, 48), "")
    assert picture.size == (400, 200)
    assert len(data) < 10_000


def test_texts_are_shown_whole() -> None:
    assert TEXT.preview("a dög") == Preview("text/plain", "a dög".encode())
    assert TEXT.preview("half \ud83d").data == rb"half \ud83d"


@pytest.mark.parametrize(
    ("seconds", "rate", "rate_shown", "cut"),
    [
        (1.0, 8000, 8000, ""),
        (2.5, 44_100, 16_000, ""),
        (12.0, 48_000, 16_000, "the first 3 s of 12.0 s"),
    ],
)
def test_sounds_become_short_files_that_browsers_play(
    seconds: float, rate: int, rate_shown: int, cut: str
) -> None:
    sound = tone(seconds, rate)
    found = SOUND.preview(sound)
    played_rate, samples = wavfile.read(io.BytesIO(found.data))
    assert (found.mime, found.cut, played_rate, samples.dtype) == ("audio/wav", cut, rate_shown, np.int16)
    assert samples.ndim == 1
    assert len(samples) / rate_shown == pytest.approx(min(seconds, 3.0), abs=1e-3)
    assert len(found.data) < 100_000
    # The same tone: the strongest frequency is where it was.
    strongest = np.abs(np.fft.rfft(samples)).argmax() * rate_shown / len(samples)
    assert strongest == pytest.approx(440, abs=1)


def test_sounds_beyond_full_scale_are_clipped() -> None:
    _, samples = wavfile.read(io.BytesIO(SOUND.preview(Audio(np.array([-3.0, 0.5, 3.0]), 8000)).data))
    np.testing.assert_array_equal(samples, [-32767, 16384, 32767])


def test_resampling_keeps_the_sound() -> None:
    sound = tone(0.5, 8000)
    again = sound.resampled(16_000).resampled(8000)
    np.testing.assert_allclose(again.samples[200:-200], sound.samples[200:-200], atol=5e-3)
    assert sound.first(0.25).seconds == pytest.approx(0.25)
    assert sound.first(1.0) is sound


def test_no_sentence_makes_a_plural_of_a_modality_by_an_s() -> None:
    """Sounds are called by the name audio, whose plural is not "audios"; `many` knows it."""
    named = r"\{[^{}]*(modalit|side|input|first|second)[^{}]*\}s\b"
    source = Path(modalens.__file__).parent
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted([*source.rglob("*.py"), *source.rglob("*.j2")])
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(named, line)
    ]
    assert not found
