"""What people answered on an annotation page, and the key that says which class each feature has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError
from modalens.options import shortly
from modalens.store.documents import read_document

ANSWERS_KIND = "modalens answers"
KEY_KIND = "modalens annotation key"
SCHEMA_VERSION = 1
BOTH, NEITHER = "both", "neither"
# Characters of a rater's name, a modality's or an answer.
_LONGEST = 200


@dataclass(frozen=True)
class AnswerSheet:
    """The answers of one rater.

    Attributes
    ----------
    rater
        Name of the rater.
    page
        Id of the page that was answered.
    choices
        The answers there are: first modality, second modality, both, neither.
    answers
        Answer by the number an item has on the page.
    """

    rater: str
    page: str
    choices: tuple[str, ...]
    answers: Mapping[int, str]


@dataclass(frozen=True)
class AnnotationKey:
    """Which feature each item of a page shows, and its class.

    Attributes
    ----------
    page
        Id of the page.
    choices
        As on an :class:`AnswerSheet`.
    features, classes
        Feature and class by item number; a class is a modality's name or ``cross``.
    answer_of_class
        The answer that agrees with each class: ``both`` with ``cross``.
    """

    page: str
    choices: tuple[str, ...]
    features: Mapping[int, int]
    classes: Mapping[int, str]
    answer_of_class: Mapping[str, str]


def load_sheets(files: Sequence[Path]) -> list[AnswerSheet]:
    """Read the answers of several raters to one page.

    Raises
    ------
    ModalensError
        If there is no file, one is damaged or empty, two belong to different pages, or one rater comes twice.
    """
    if not files:
        raise ModalensError("There are no answers to compare; name at least one file that a rater saved.")
    sheets = [_load_sheet(Path(file)) for file in files]
    by_rater: dict[str, Path] = {}
    for file, sheet in zip(files, sheets, strict=True):
        if sheet.page != sheets[0].page or sheet.choices != sheets[0].choices:
            raise ModalensError(
                f"{file} answers page {sheet.page} and {files[0]} page {sheets[0].page}; compare answers to one page."
            )
        if sheet.rater in by_rater:
            raise ModalensError(
                f"{by_rater[sheet.rater]} and {file} are both by the rater {sheet.rater!r}; leave one of them out."
            )
        by_rater[sheet.rater] = Path(file)
    return sheets


def load_key(path: Path, sheets: Sequence[AnswerSheet]) -> AnnotationKey:
    """Read the key of the page that these raters answered.

    Raises
    ------
    ModalensError
        If it is damaged, belongs to another page, or knows nothing of an item that was answered.
    """
    document = read_document(path, KEY_KIND, SCHEMA_VERSION)
    try:
        items = {_number(item["item"]): item for item in document["items"]}
        key = AnnotationKey(
            page=_text(document["page"]),
            choices=_choices(document["choices"]),
            features={number: _number(item["feature"]) for number, item in items.items()},
            classes={number: _text(item["class"]) for number, item in items.items()},
            answer_of_class={
                _text(name): _text(answer) for name, answer in document["answer_of_class"].items()
            },
        )
        for name in key.classes.values():
            if key.answer_of_class.get(name) not in key.choices:
                raise ValueError(f"nothing answers class {name!r}")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModalensError(
            f"The key {path} is damaged ({_said(error)}); give the key.json that was written beside the page."
        ) from error
    for sheet in sheets:
        if sheet.page != key.page:
            raise ModalensError(
                f"The key {path} is that of page {key.page}, and {sheet.rater} answered page {sheet.page}; "
                "give the key.json that was written beside that page."
            )
        if sheet.choices != key.choices:
            raise ModalensError(
                f"The key {path} has the answers {', '.join(key.choices)}, and {sheet.rater} had "
                f"{', '.join(sheet.choices)} to choose from; give the key.json that was written beside that page."
            )
        for item in sorted(sheet.answers.keys() - items.keys()):
            raise ModalensError(f"{sheet.rater} answered item {item}, which the key {path} does not have.")
    return key


def _load_sheet(path: Path) -> AnswerSheet:
    document = read_document(path, ANSWERS_KIND, SCHEMA_VERSION)
    try:
        rater, page = _text(document["rater"]).strip(), _text(document["page"])
        choices = _choices(document["choices"])
        answers = {_number(item): _text(answer) for item, answer in document["answers"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModalensError(
            f"The answers {path} are damaged ({_said(error)}); save them again from the page."
        ) from error
    if not rater:
        raise ModalensError(
            f"The answers {path} do not say whose they are; write the rater's name into them."
        )
    for item, answer in answers.items():
        if answer not in choices:
            raise ModalensError(
                f"{path} answers item {item} with {answer!r}; the answers there are: {', '.join(choices)}."
            )
    if not answers:
        raise ModalensError(f"{path} holds no answer yet; leave it out.")
    return AnswerSheet(rater, page, choices, answers)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST:
        raise TypeError(f"{shortly(value)} is no text of one line")
    return value


def _number(value: Any) -> int:
    """A whole number; as a name of JSON it is text."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
        raise TypeError(f"{shortly(value)} is no number of an item or a feature")
    return value


def _choices(value: Any) -> tuple[str, ...]:
    found = tuple(_text(choice) for choice in value)
    if len(set(found)) != 4 or found[2:] != (BOTH, NEITHER):
        raise ValueError(f"the answers to choose from are {', '.join(found[:8])}")
    return found


def _said(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
