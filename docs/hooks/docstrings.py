"""What the API pages make of docstrings: roles such as :func:`~modalens.embed` become links between pages."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from griffe import Alias, Extension, Module, Object

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")


class Docstrings(Extension):
    """Rewrites the docstrings of a package, and leaves what it re-exports to the modules that define it."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Rewrite a package that was just read."""
        objects = list(_inside(pkg))
        targets = {each.path for each in objects if each.has_docstring and each.is_public}
        for each in objects:
            if each.docstring:
                link = partial(_link, where=each, package=pkg, targets=targets)
                each.docstring.value = _ROLE.sub(link, each.docstring.value)
        for each in objects:
            if isinstance(each, Module):
                each.exports = None


def _inside(parent: Object) -> Iterator[Object]:
    yield parent
    for member in parent.members.values():
        if not isinstance(member, Alias):
            yield from _inside(member)


def _link(found: re.Match[str], where: Object, package: Module, targets: set[str]) -> str:
    short, name = found.groups()
    shown = name.rpartition(".")[2] if short else name
    path = _path(name, where, package)
    return f"[`{shown}`][{path}]" if path in targets else f"`{shown}`"


def _path(name: str, where: Object, package: Module) -> str | None:
    """Where a name is defined: a path from the root, or a name that is known in the object or around it."""
    first, _, rest = name.partition(".")
    scope: Object | None = where
    while scope is not None:
        if first in scope.members:
            found = scope.members[first]
            try:
                return str((found[rest] if rest else found).canonical_path)
            except (KeyError, RuntimeError):
                return None
        scope = scope.parent
    if first != package.name:
        return None
    try:
        return str((package[rest] if rest else package).canonical_path)
    except (KeyError, RuntimeError):
        return None
