"""Every package that modalens imports is declared: in its dependencies, or in the extra that needs it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "modalens"
# Distributions that may not be installed where the tests run.
KNOWN = {
    "open_clip": "open-clip-torch",
    "torchvision": "torchvision",
    "wandb": "wandb",
    "tensorboard": "tensorboard",
}
_CALLS = ("import_module", "find_spec", "demo_package", "importorskip")


def spelt(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> tuple[set[str], set[str]]:
    """Distributions among the dependencies, and among the extras that users install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: listed for name, listed in project["optional-dependencies"].items() if name != "dev"}

    def names(requirements: list[str]) -> set[str]:
        return {spelt(re.split(r"[\[<>=!~; ]", each)[0]) for each in requirements}

    return names(project["dependencies"]), names([each for listed in extras.values() for each in listed])


def imports(tree: ast.AST) -> Iterator[str]:
    """Top-level packages that a syntax tree imports, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            argument = node.args[0]
            if called in _CALLS and isinstance(argument, ast.Constant):
                yield str(argument.value).partition(".")[0]


INSTALLED = packages_distributions()


def distributions(names: Iterator[str]) -> set[str]:
    foreign = {name for name in names if name not in sys.stdlib_module_names and name != "modalens"}
    return {spelt(KNOWN.get(name) or INSTALLED.get(name, [name])[0]) for name in foreign}


@cache
def trees() -> dict[PurePath, ast.Module]:
    """The syntax trees of all files."""
    return {
        path.relative_to(SOURCE): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")
    }


def test_what_is_imported_is_declared() -> None:
    needed, extra = declared()
    undeclared = {
        file: missing
        for file, tree in trees().items()
        if (missing := distributions(imports(tree)) - needed - extra)
    }
    assert undeclared == {}


def test_extras_are_imported_where_they_are_used() -> None:
    needed, _ = declared()
    at_the_top = {
        file: missing
        for file, tree in trees().items()
        if "demo" not in file.parts
        for missing in [
            distributions(
                name
                for statement in tree.body
                if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.If)
                for name in imports(statement)
            )
            - needed
        ]
        if missing
    }
    assert at_the_top == {}
