"""Sounds, and files of sound that are decoded only when asked for."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from jaxtyping import Float

from modalens.errors import InputError
from modalens.files import open_file
from modalens.pairs.wav import WavError, read_wav


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
        if self.samples.shape == (0,):
            raise InputError("The sound has no samples.")
        if self.samples.ndim != 1:
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
            If the file is missing, truncated, empty, too long or no WAV file.
        """
        try:
            with open_file(self.path, f"The sound {self.path}") as stream:
                rate, samples = read_wav(stream)
        except OSError as error:
            raise InputError(f"The sound {self.path} cannot be read ({error.strerror}).") from error
        except WavError as error:
            raise InputError(f"The sound {self.path} cannot be decoded: it {error}.") from error
        mono = samples.mean(axis=1)
        if not np.isfinite(mono).all():
            raise InputError(f"The sound {self.path} cannot be decoded: it has samples that are not finite.")
        return Audio(mono, rate)
