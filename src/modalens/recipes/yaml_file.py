"""Read a YAML file of a stranger's, within a budget, each fault at its line."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from modalens.errors import InputError
from modalens.options import WIDEST

# Far beyond any recipe, and read within seconds.
_MOST_BYTES = 256 * 1024
_DEEPEST = 32
# Values with every alias put in: a few lines of aliases of aliases would else stand for billions.
_MOST_VALUES = 100_000
_CORE = {
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")
}
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# Read otherwise than in YAML 1.1; dates are text, as no setting is one.
_OTHERWISE = (_INT, _FLOAT, "tag:yaml.org,2002:timestamp")


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file holds: names with values, lists, texts, numbers, true, false and null.

    Numbers are those of YAML 1.2: ``1e-3`` is one.

    Parameters
    ----------
    path
        The file.
    what
        What it is, as the subject of a sentence.

    Raises
    ------
    InputError
        If it cannot be read, is over 256 KiB, not UTF-8, no YAML, names something twice, is nested more than 32 deep,
        or holds anything else, with the line.
    """
    try:
        there, is_file = path.exists(), path.is_file()
        content = b""
        if is_file:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not is_file:
        raise InputError(f"{what} cannot be read: {'it is no file' if there else 'no such file'}.")
    if len(content) > _MOST_BYTES:
        raise InputError(f"{what} is over {_MOST_BYTES // 1024} KiB; give a smaller file.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{what} is not UTF-8 (line {line}); save it as UTF-8.") from error
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise InputError(f"{what} is no YAML that can be used: {_said(error, text)}.") from error


def _said(error: yaml.YAMLError, text: str) -> str:
    """What is wrong, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(error.problem or error.context).split())
        return said if mark is None else f"{said} (line {mark.line + 1})"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"the character U+{error.character:04X} is not allowed (line {line})"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """Refuses what the base class takes without a word: names that stand twice, and bombs."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (the base class keeps them so)
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERWISE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values: dict[yaml.Node, int] = {}  # of each whole node, aliases put in

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Compose a node, not too deep; an alias inside what it names is refused."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _problem(f"it is nested more than {_DEEPEST} deep", event.start_mark)
        node: yaml.Node = super().compose_node(parent, index)  # type: ignore[assignment]
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent) and node not in self._values:
            raise _problem(f"the alias {event.anchor} stands inside what it names", event.start_mark)
        if node not in self._values:
            self._values[node] = 1 + sum(self._values[each] for each in _children(node))
        if self._values[node] > _MOST_VALUES:
            raise _problem(f"it stands for over {_MOST_VALUES:,} values", event.start_mark)
        if node.tag not in _CORE:
            raise _problem(f"the tag {node.tag} is not taken", node.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose names with values, each name once."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _problem("a name must be text", key.start_mark)
            if key.value in names:
                raise _problem(f"{key.value} stands twice", key.start_mark)
            names.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        """Construct a value; one that is not what its tag says is a problem of its line."""
        try:
            value: Hashable = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            problem = f"{str(node.value)[:40]!r} is no {node.tag.rpartition(':')[2]}"
            raise _problem(problem, node.start_mark) from error
        if isinstance(value, int) and not -WIDEST <= value < WIDEST:
            raise _problem("a number has more than 64 bits", node.start_mark)
        return value


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _problem(said: str, mark: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=said, problem_mark=mark)


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0 if text.lower().startswith(("0x", "0o")) else 10)


# As YAML 1.2 has them: YAML 1.1 takes 1e-3 for text, 010 for 8 and 1:30 for 90.
_Loader.add_implicit_resolver(
    _INT, re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"""^([-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+
        |[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor(_INT, _construct_int)
