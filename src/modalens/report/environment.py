"""The one Jinja environment: templates of the pages, and those that sections and others keep in their own packages."""

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, FunctionLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from modalens.report.media import data_url
from modalens.report.naming import capitalised, count, interval, number, percent, small, typeset
from modalens.report.palette import css_variables
from modalens.version import __version__


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates by name, or by package and file, as in ``modalens.report.sections.gap/section.html.j2``."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("modalens.report"), FunctionLoader(_in_package)]),
        autoescape=True,  # titles, captions, names and ids are other people's words
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "capitalised": capitalised,
        "count": count,
        "data_url": data_url,
        "interval": interval,
        "number": number,
        "small": small,
        "percent": percent,
        "typeset": typeset,
    }
    # What every page says and every page's colours.
    made.globals |= {
        "version": __version__,
        "light": Markup(css_variables(0)),
        "dark": Markup(css_variables(1)),
    }
    return made


def source(name: str) -> str:
    """Text of a script or a style sheet, by the names that templates have."""
    made = environment()
    if made.loader is None:
        return ""
    return made.loader.get_source(made, name)[0]


def script_hash(script: str) -> Markup:
    """What a page's content security policy knows a script by."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())


def json_block(values: Any) -> Markup:
    """JSON to stand in a ``<script>`` element: plain ASCII without ``<``, so that no caption can end the element."""
    return Markup(json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _in_package(name: str) -> str | None:
    package, _, file = name.rpartition("/")
    if not package:
        return None
    try:
        return files(package).joinpath(file).read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError):
        return None
