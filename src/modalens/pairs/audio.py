"""Sounds, and files of sound that are decoded only when asked for."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from jaxtyping import Float

from modalens.errors import InputError
from modalens.pairs.decoder_warnings import no_decoder_warnings

_SIZE_UNKNOWN = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Audio:
    """One channel of sound.

    Attributes
    ----------
    samples
        Amplitudes, about in [-1, 1].
    rate
        Samples a second.

    Raises
    ------
    ModalensError
        If there is not one channel of at least one finite sample, or the rate is no positive integer.
    """

    samples: Float[np.ndarray, " t"]
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or not len(self.samples):
            raise InputError(
                f"Sound must be one channel of samples, not an array of shape {self.samples.shape}; average its "
                "channels."
            )
        if not np.isfinite(self.samples).all():
            raise InputError("Sound must be finite numbers; this one has a NaN or an infinite sample.")
        if self.rate != int(self.rate) or self.rate < 1:
            raise InputError(f"The rate of a sound is {self.rate!r}; it must be a positive whole number.")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def first(self, seconds: float) -> "Audio":
        """Its beginning, at most so many seconds (and at least one sample); the sound itself if it is no longer."""
        kept = max(1, int(seconds * self.rate))
        return self if kept >= len(self.samples) else Audio(self.samples[:kept], self.rate)

    def resampled(self, rate: int) -> "Audio":
        """The same sound at another rate, in float64, through a polyphase filter."""
        from scipy.signal import resample_poly

        samples = self.samples.astype(np.float64)
        if rate != self.rate:
            common = gcd(self.rate, rate)
            samples = resample_poly(samples, rate // common, self.rate // common)
        return Audio(samples, rate)


@dataclass(frozen=True)
class SoundFile:
    """A sound in a WAV file.

    Parameters
    ----------
    path
        Where the file lies.
    key
        Name of the sound that survives moving the data: its path relative to the source's root, with forward
        slashes.
    """

    path: Path
    key: str

    def load(self) -> Audio:
        """Decode to one channel, the average of all; whole numbers become amplitudes in [-1, 1].

        Raises
        ------
        ModalensError
            If the file is missing, truncated, empty or no WAV file.
        """
        from scipy.io import wavfile

        try:
            self._require_whole()
            with no_decoder_warnings():
                rate, samples = wavfile.read(self.path)
            return Audio(_one_channel(_amplitudes(samples)), int(rate))
        except FileNotFoundError as error:
            raise InputError(f"The sound {self.path} does not exist.") from error
        except Exception as error:  # damaged headers break the reader in many ways
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise InputError(
                f"The sound {self.path} cannot be decoded ({reason}); give it as a WAV file."
            ) from error

    def _require_whole(self) -> None:
        """Raise if the file is shorter than its header says; the reader takes such a sound for a shorter one."""
        with self.path.open("rb") as stream:
            head = stream.read(8)
        size, found = int.from_bytes(head[4:], "little"), self.path.stat().st_size - 8
        # Some writers leave the last odd byte unpadded, and those that stream know no size.
        if head[:4] == b"RIFF" and found + 1 < size != _SIZE_UNKNOWN:
            raise ValueError(f"it is cut short: {found} bytes of {size}")


def _amplitudes(samples: np.ndarray) -> Float[np.ndarray, "*t"]:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    # Whole numbers stand around 0, but those of 8 bits around 128.
    middle = 128 if samples.dtype == np.uint8 else 0
    full = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return ((samples.astype(np.float64) - middle) / full).astype(np.float32)


def _one_channel(samples: np.ndarray) -> Float[np.ndarray, " t"]:
    mono: np.ndarray = samples if samples.ndim == 1 else samples.mean(axis=1)
    return mono
