"""Read WAV files, whatever their headers say of sizes."""

import os
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np
from jaxtyping import Float

MAX_SAMPLES = 2**26
"""Samples of the longest sound that is read, over all its channels: 256 MB of amplitudes."""
MAX_SECONDS = 1200
MIN_RATE, MAX_RATE = 1_000, 1_000_000
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 49: "GSM", 80: "MPEG", 85: "MP3", 255: "AAC"}
# Writers into pipes, and those that were stopped, leave one of these for a size that they did not know.
_UNKNOWN_FROM = 0x7FFFF000
# By the first bytes of their files.
_OTHERS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"\xff\xf3": "MP3",
    b"FORM": "AIFF",
}


class WavError(ValueError):
    """What is wrong with a file, in words that follow its name."""


@dataclass(frozen=True)
class _Format:
    """What a file says of its samples: ``<`` or ``>``, and numbers."""

    order: str
    code: int
    channels: int
    rate: int
    width: int
    """Bytes of a sample."""
    bits: int


def read_wav(stream: IO[bytes]) -> tuple[int, Float[np.ndarray, "t c"]]:
    """The rate and the amplitudes, in [-1, 1] where they are whole numbers.

    Sizes in headers are believed where the file bears them out: a sound whose header has no size, or a wrong one for
    the file alone, is read; one that ends before both its sizes is refused.

    Parameters
    ----------
    stream
        A WAV file (RIFF, RIFX or RF64), at its start.

    Raises
    ------
    WavError
        If it is no WAV file, has no samples or too many, is cut short, or is coded otherwise than in numbers.
    """
    length = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    _require_wave(head)
    order = ">" if head[:4] == b"RIFX" else "<"
    (whole,) = struct.unpack(f"{order}I", head[4:8])
    found, size = _find_samples(stream, order)
    if found is None:
        raise WavError("has no format in front of its samples")
    start = stream.tell()
    left = length - start
    is_open = whole == 0 or whole >= _UNKNOWN_FROM  # the header was never finished
    if size > left:
        if not is_open and whole + 8 > length + 1 and size < _UNKNOWN_FROM:
            raise WavError(f"is cut short: {left} bytes of samples of {size}")
        size = left
    elif size == 0 and whole + 8 != length:
        size = left
    return found.rate, _amplitudes(stream, found, size)


def _require_wave(head: bytes) -> None:
    if not head:
        raise WavError("is empty")
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
        return
    other = next((name for start, name in _OTHERS.items() if head.startswith(start)), None)
    if other is not None:
        raise WavError(f"is {other} and no WAV file")
    raise WavError("is no WAV file" if len(head) == 12 else f"is no WAV file: it has {len(head)} bytes")


def _find_samples(stream: IO[bytes], order: str) -> tuple[_Format | None, int]:
    """The format and the size of the samples, with the stream at the first of them."""
    found: _Format | None = None
    real_size: int | None = None
    while len(head := stream.read(8)) == 8:
        name, size = struct.unpack(f"{order}4sI", head)
        if name == b"data":
            return found, size if real_size is None else real_size
        after = stream.tell() + size + size % 2
        if name == b"fmt ":
            found = _format(stream.read(min(size, 40)), order)
        elif name == b"ds64":  # RF64 has its sizes here
            sizes = stream.read(16)
            real_size = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else None
        stream.seek(after)
    raise WavError("has no samples")


def _format(content: bytes, order: str) -> _Format:
    if len(content) < 16:
        raise WavError(f"has a damaged format: {len(content)} bytes of 16")
    code, channels, rate, _, block, bits = struct.unpack(f"{order}HHIIHH", content[:16])
    if code == _EXTENSIBLE and len(content) >= 26:
        (code,) = struct.unpack(f"{order}H", content[24:26])
    if code not in (_PCM, _FLOAT):
        raise WavError(f"is coded as {_NAMES.get(code, f'format {code}')}; save it as plain PCM")
    if not channels:
        raise WavError("has no channels")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise WavError(f"has {rate} samples a second; from {MIN_RATE} to {MAX_RATE} are read")
    width = (bits + 7) // 8
    if block % channels == 0 and width < block // channels <= 8:
        width = block // channels  # fewer bits in a larger place
    allowed = range(1, 9) if code == _PCM else (4, 8)
    if width not in allowed or bits == 0:
        raise WavError(f"has samples of {bits} bits, which are not read")
    return _Format(order, code, channels, rate, width, bits)


def _amplitudes(stream: IO[bytes], found: _Format, size: int) -> Float[np.ndarray, "t c"]:
    count = size // (found.width * found.channels)
    if not count:
        raise WavError("has no samples")
    if count * found.channels > MAX_SAMPLES or count / found.rate > MAX_SECONDS:
        raise WavError(
            f"lasts {count / found.rate:.6g} s in {found.channels} channels; at most {MAX_SECONDS} s and "
            f"{MAX_SAMPLES} samples are read, so cut it"
        )
    data = stream.read(count * found.width * found.channels)
    order, width = found.order, found.width
    values: np.ndarray
    if found.code == _FLOAT:
        with np.errstate(over="ignore"):  # infinite samples are refused
            values = np.frombuffer(data, f"{order}f{width}").astype(np.float32)
    elif width == 1:  # around 128, where others stand around 0
        values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    else:
        if width not in (2, 4, 8):
            data, width = _widened(data, width, order)
        values = (np.frombuffer(data, f"{order}i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)
    return values.reshape(-1, found.channels)


def _widened(data: bytes, width: int, order: str) -> tuple[bytes, int]:
    """Whole numbers of 3, 5, 6 or 7 bytes as the upper ones of 4 or 8."""
    wide = 4 if width == 3 else 8
    narrow = np.frombuffer(data, np.uint8).reshape(-1, width)
    values = np.zeros((len(narrow), wide), np.uint8)
    values[:, slice(0, width) if order == ">" else slice(wide - width, wide)] = narrow
    return values.tobytes(), wide
