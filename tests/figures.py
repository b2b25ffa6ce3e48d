"""Reports without their figures, which take most of the time; what figures show is tested in tests/report."""

from collections import defaultdict

import pytest
from markupsafe import Markup

from modalens.report import html
from modalens.report.html import Drawn


def leave_out_figures(patch: pytest.MonkeyPatch) -> None:
    """Let pages have an empty place for each figure."""
    blank = Drawn(*3 * (Markup(""),))
    patch.setattr(html, "_draw", lambda sections, folder: defaultdict(lambda: blank))
