"""The readers that are fuzzed: each module here has a dict ``TARGETS`` of name to Target."""

from importlib import import_module
from pkgutil import iter_modules

from tests.fuzz.target import Target


def all_targets() -> dict[str, Target]:
    """Every reader by its name."""
    found: dict[str, Target] = {}
    for module in sorted(each.name for each in iter_modules(__path__)):
        found |= import_module(f"{__name__}.{module}").TARGETS
    return found
