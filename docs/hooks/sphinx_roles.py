"""Turn the roles of docstrings, such as :func:`~modalens.embed`, into links between pages."""

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")


def _link(found: re.Match[str]) -> str:
    path = found[2]
    name = path.rpartition(".")[2] if found[1] else path
    return f"[`{name}`][{path}]"


class SphinxRoles(Extension):
    """Rewrites every docstring that has a role."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_link, obj.docstring.value)
