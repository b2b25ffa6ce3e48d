"""A sound, decoded."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from modalens.errors import ModalensError


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
            raise ModalensError(
                f"Sound must be one channel of samples, not an array of shape {self.samples.shape}; average its "
                "channels."
            )
        if not np.isfinite(self.samples).all():
            raise ModalensError("Sound must be finite numbers; this one has a NaN or an infinite sample.")
        if self.rate != int(self.rate) or self.rate < 1:
            raise ModalensError(f"The rate of a sound is {self.rate!r}; it must be a positive whole number.")
