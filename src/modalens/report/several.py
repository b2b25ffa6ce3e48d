"""The page on more than two modalities: shares, classes and the matrix of gaps."""

from pathlib import Path

from markupsafe import Markup

from modalens.dominance import RULES, GapMatrix, SimplexDominance
from modalens.errors import ModalensError
from modalens.report.environment import environment
from modalens.report.naming import METRICS, count, listing, number
from modalens.report.palette import css_variables
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.report.simplex import describe_triangle, triangle
from modalens.store.atomic import write_text
from modalens.version import __version__


def write_several_report(found: SimplexDominance, gaps: GapMatrix, out: Path, title: str) -> Path:
    """Write ``report.html``, one page that opens offline, and the triangle of three modalities as a figure.

    Parameters
    ----------
    found, gaps
        Shares of the modalities, and the gap between each two.
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
        drawn = None
        if len(found.modalities) == 3:
            with drawing():
                wide = save(triangle(found), out / "figures", "simplex")
                narrow = to_svg(triangle(found, narrow=True))
            drawn = {
                "wide": Markup(inline(wide, "simplex-wide")),
                "narrow": Markup(inline(narrow, "simplex-narrow")),
                "alt": describe_triangle(found),
            }
        write_text(page, _render(found, gaps, title, drawn))
    except OSError as error:
        raise ModalensError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    return page


def statements(found: SimplexDominance, gaps: GapMatrix) -> list[str]:
    """What the shares and gaps say, each beside its baseline."""
    counts = found.counts()
    live = sum(counts.values()) - counts["dead"]
    alone = sum(counts[name] for name in found.modalities)
    seen = f"{count(found.n_samples)} samples{_grouped(found)} in {listing(found.modalities)}"
    sentences = [f"{seen}; {count(live)} live features."]
    if not live:
        return sentences
    beside = ""
    if found.null is not None:
        by_chance = sum(found.null.class_counts[found.rule][name] for name in found.modalities)
        beside = f" (with labels turned at random within samples: {count(by_chance)})"
    sentences.append(f"{count(alone)} of them are carried by one modality alone{beside}.")
    if found.null is not None:
        sentences.append(
            f"Shares spread by {number(found.spread)} about their mean; with labels turned by "
            f"{number(float(found.null.spreads.mean()))}."
        )
    (first, second), widest = max(gaps.gaps.items(), key=lambda each: each[1].l2m_unbiased)
    low, high = widest.intervals["l2m_unbiased"]
    sentences.append(
        f"The widest gap is that of {first} and {second}: L2M {number(widest.l2m_unbiased)} "
        f"({number(low)} to {number(high)})."
    )
    return sentences


def _grouped(found: SimplexDominance) -> str:
    if found.groups == found.n_samples:
        return ""
    return (
        f" in {count(found.groups)} groups (as good as {count(round(found.effective_groups))} of equal size)"
    )


def _render(
    found: SimplexDominance, gaps: GapMatrix, title: str, drawn: dict[str, Markup | str] | None
) -> str:
    return (
        environment()
        .get_template("several.html.j2")
        .render(
            title=title,
            found=found,
            gaps=gaps,
            statements=statements(found, gaps),
            drawn=drawn,
            rules=RULES,
            metrics=METRICS,
            unknown=(float("nan"), float("nan")),
            version=__version__,
            light=Markup(css_variables(0)),
            dark=Markup(css_variables(1)),
        )
    )
