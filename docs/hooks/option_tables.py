"""Tables of options, made from the dataclasses that define them."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from modalens.options import Options, about_of, is_required


def options(*configs: type[Options]) -> str:
    """A Markdown table of the options of some configurations; a shared one once."""
    rows = ["| option | default | what it does |", "| --- | --- | --- |"]
    seen: set[str] = set()
    for config in configs:
        for name, default, words in _rows(config):
            if name not in seen:
                rows.append(f"| `{name}` | {default} | {words} |")
            seen.add(name)
    return "\n".join(rows)


def of_study(name: str) -> str:
    """The options of a study."""
    from modalens.studies.registry import find_study

    return options(find_study(name).config)


def _rows(config: type[Options]) -> Iterator[tuple[str, str, str]]:
    for field in dataclasses.fields(config):
        about = about_of(field)
        names = about.names()
        details = [about.unit, about.range(), None if names is None else ", ".join(f"`{n}`" for n in names)]
        told = "; ".join(each for each in details if each)
        words = about.help.rstrip(".") + (f" ({told})." if told else ".")
        yield field.name, _default(field), words.replace("|", "\\|")


def _default(field: "dataclasses.Field[Any]") -> str:
    if is_required(field):
        return "required"
    if field.default is None or field.default == ():
        return ""
    value = field.default
    return f"`{', '.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"
