"""The page on more than two modalities: shares and classes of each set of features, and the matrix of gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from modalens.dominance import RULES, GapMatrix, SimplexDominance
from modalens.errors import ModalensError
from modalens.report.environment import environment
from modalens.report.naming import METRICS, count, listing, number
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.report.simplex import describe_triangle, triangle
from modalens.store.atomic import write_text


@dataclass(frozen=True)
class SharedFeatures:
    """Shares of the modalities in one set of features.

    Attributes
    ----------
    name
        As the page calls them.
    shares
        Shares of the modalities in each.
    note
        What they are, and what they leave unexplained; empty for nothing.
    """

    name: str
    shares: SimplexDominance
    note: str = ""


def write_several_report(sets: Sequence[SharedFeatures], gaps: GapMatrix, out: Path, title: str) -> Path:
    """Write ``report.html``, one page that opens offline, and the triangles of three modalities as figures.

    Parameters
    ----------
    sets
        Sets of features of the same modalities, at least one.
    gaps
        The gap between each two modalities.
    out
        Folder to write into; files of an earlier report are overwritten.
    title
        What stands over the page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If the folder cannot be written to.
    """
    page = out / "report.html"
    try:
        drawn = [_drawn(each.shares, out / "figures", place) for place, each in enumerate(sets)]
        write_text(page, _render(sets, gaps, title, drawn))
    except OSError as error:
        raise ModalensError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    return page


def _drawn(found: SimplexDominance, folder: Path, place: int) -> dict[str, Markup | str] | None:
    """The triangle, of three modalities alone."""
    if len(found.modalities) != 3:
        return None
    name = f"simplex-{place}" if place else "simplex"
    with drawing():
        wide = save(triangle(found), folder, name)
        narrow = to_svg(triangle(found, narrow=True))
    return {
        "wide": Markup(inline(wide, f"{name}-wide")),
        "narrow": Markup(inline(narrow, f"{name}-narrow")),
        "alt": describe_triangle(found),
    }


def statements(sets: Sequence[SharedFeatures], gaps: GapMatrix) -> list[str]:
    """What the shares and gaps say, each beside its baseline."""
    first = sets[0].shares
    sentences = [f"{count(first.n_samples)} samples{_grouped(first)} in {listing(first.modalities)}."]
    for each in sets:
        sentences += _of_shares(each.shares, f"{each.name}: " if len(sets) > 1 else "")
    (one, other), widest = max(gaps.gaps.items(), key=lambda each: each[1].l2m_unbiased)
    low, high = widest.intervals["l2m_unbiased"]
    sentences.append(
        f"The widest gap is that of {one} and {other}: L2M {number(widest.l2m_unbiased)} "
        f"({number(low)} to {number(high)})."
    )
    return sentences


def _of_shares(found: SimplexDominance, whose: str) -> list[str]:
    counts = found.counts()
    live = sum(counts.values()) - counts["dead"]
    if not live:
        return [f"{whose}no live features."]
    alone = sum(counts[name] for name in found.modalities)
    beside, spread = "", ""
    if found.null is not None:
        by_chance = sum(found.null.class_counts[found.rule][name] for name in found.modalities)
        beside = f" (with labels turned at random within samples: {count(by_chance)})"
        spread = (
            f" Shares spread by {number(found.spread)} about their mean; with labels turned by "
            f"{number(float(found.null.spreads.mean()))}."
        )
    return [
        f"{whose}{count(alone)} of {count(live)} live features are carried by one modality alone{beside}.{spread}"
    ]


def _grouped(found: SimplexDominance) -> str:
    if found.groups == found.n_samples:
        return ""
    return (
        f" in {count(found.groups)} groups (as good as {count(round(found.effective_groups))} of equal size)"
    )


def _render(
    sets: Sequence[SharedFeatures],
    gaps: GapMatrix,
    title: str,
    drawn: Sequence[dict[str, Markup | str] | None],
) -> str:
    return (
        environment()
        .get_template("several.html.j2")
        .render(
            title=title,
            sets=list(zip(sets, drawn, strict=True)),
            gaps=gaps,
            statements=statements(sets, gaps),
            rules=RULES,
            metrics=METRICS,
            unknown=(float("nan"), float("nan")),
        )
    )
