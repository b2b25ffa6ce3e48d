"""The colours of figures and page, one name for each, in a light and a dark version.

Orange, blue and green stay apart for every common kind of colour blindness, and the greys differ in lightness.
"""

# name: (light, dark). Each light value occurs once: SVG colours are turned into CSS variables by value.
PALETTE: dict[str, tuple[str, str]] = {
    "first": ("#dd7a0a", "#f5a04a"),
    "second": ("#2a66b8", "#74acf7"),
    "third": ("#1e8a5e", "#4fc296"),
    "cross": ("#a3abb6", "#717c8b"),
    "dead": ("#dfe2e7", "#39404a"),
    "ink": ("#171b21", "#eceff3"),
    "muted": ("#5a6470", "#a4aebb"),
    "line": ("#d9dde3", "#333a44"),
    "paper": ("#ffffff", "#171b21"),
    "ground": ("#f4f5f7", "#0f1216"),
}


def css_variables(theme: int) -> str:
    """CSS declarations of one theme: 0 is light, 1 is dark."""
    return " ".join(f"--{name}: {colours[theme]};" for name, colours in PALETTE.items())


def colour(name: str) -> str:
    """The light version of a colour, the one figures are drawn in."""
    return PALETTE[name][0]
