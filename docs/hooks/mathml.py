"""Turn equations into MathML, which browsers show without any script."""

import html
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(text: str, **_: object) -> str:
    """Convert what arithmatex marked."""
    text = _INLINE.sub(lambda found: convert(html.unescape(found[1].strip())), text)
    return _DISPLAY.sub(
        lambda found: (
            f'<div class="equation">{convert(html.unescape(found[1].strip()), display="block")}</div>'
        ),
        text,
    )
