"""The rule by which a claim holds."""

from math import isnan

from modalens.statistics.controls import seen_with_power

HOLDS, DOES_NOT, NOT_DECIDED, NOT_MEASURED = "holds", "does not hold", "not decided", "not measured"
AS_CONTROL = "no more than its control"


def verdict(
    sign: int,
    value: float,
    ends: tuple[float, float],
    control: tuple[float, float] = (float("nan"), float("nan")),
) -> str:
    """Whether an effect has the sign that was claimed.

    Parameters
    ----------
    sign
        1 or -1: the sign that was claimed; 0 where no effect was.
    value
        The effect here.
    ends
        Of its 95 % interval; NaN where it was not measured.
    control
        Where 95 % of the effects of a control lie; NaN where there is none.

    Returns
    -------
    str
        ``holds`` where the interval lies on the claimed side of 0 and the effect is larger than those of the control,
        ``no more than its control`` where it is not larger than those, ``does not hold`` where the interval lies on the
        other side of 0, ``not decided`` where it holds 0, ``not measured`` without one. That there is no effect
        ``does not hold`` where the interval excludes 0, and is not decided otherwise.
    """
    if any(map(isnan, ends)):
        return NOT_MEASURED
    if sign == 0:
        return NOT_DECIDED if min(ends) <= 0 <= max(ends) else DOES_NOT
    least, most = sorted(sign * end for end in ends)
    if most < 0:
        return DOES_NOT
    if not least > 0:
        return NOT_DECIDED
    reached = [sign * end for end in control if not isnan(end)]
    return AS_CONTROL if reached and sign * value <= max(reached) else HOLDS


def detectable(low: float, high: float) -> float:
    """The effect that would have been seen: found at level .05 with power .8, from the width of the interval."""
    return seen_with_power(low, high)
