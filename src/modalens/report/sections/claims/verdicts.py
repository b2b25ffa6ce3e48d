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
        ``holds`` where the interval lies on the claimed side of 0 and the effect is larger than those of the control
        on that side, ``does not hold`` where both are so on the other side, ``no more than its control`` where the
        interval lies on either side and the effect is not larger, ``not decided`` where it holds 0, ``not measured``
        without one. That there is no effect ``does not hold`` where the interval excludes 0, and is not decided
        otherwise.
    """
    if any(map(isnan, ends)):
        return NOT_MEASURED
    if sign == 0:
        return NOT_DECIDED if min(ends) <= 0 <= max(ends) else DOES_NOT
    if min(ends) <= 0 <= max(ends):
        return NOT_DECIDED
    side = 1 if min(ends) > 0 else -1
    reached = [side * end for end in control if not isnan(end)]
    if reached and side * value <= max(reached):
        return AS_CONTROL
    return HOLDS if side == sign else DOES_NOT


def detectable(low: float, high: float) -> float:
    """The effect that would have been seen: found at level .05 with power .8, from the width of the interval."""
    return seen_with_power(low, high)
