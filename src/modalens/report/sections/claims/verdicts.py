"""The rule by which a claim holds."""

from scipy.special import ndtri

HOLDS, DOES_NOT, NOT_DECIDED, NOT_MEASURED = "holds", "does not hold", "not decided", "not measured"
# Half of a 95 % interval times this is the effect that a test at .05 finds with power .8.
_FOUND = float((ndtri(0.975) + ndtri(0.8)) / ndtri(0.975))


def verdict(sign: int, low: float, high: float) -> str:
    """Whether an effect has the sign that was claimed.

    Parameters
    ----------
    sign
        1 or -1: the sign that was claimed.
    low, high
        The effect's 95 % interval here; NaN where it was not measured.

    Returns
    -------
    str
        ``holds`` where the interval lies on the claimed side of 0, ``does not hold`` where it lies on the other side,
        ``not decided`` where it holds 0, ``not measured`` without one.
    """
    if low != low or high != high:
        return NOT_MEASURED
    least, most = sorted((sign * low, sign * high))
    if least > 0:
        return HOLDS
    return DOES_NOT if most < 0 else NOT_DECIDED


def detectable(low: float, high: float) -> float:
    """The effect that would have been seen: found at level .05 with power .8, from the width of the interval."""
    return _FOUND * abs(high - low) / 2
