"""What readers say a feature shows, kept as the annotation page keeps it, so that ``modalens agreement`` reads it.

Readers of the explorer see a feature's class; raters of the annotation page do not. Their answers are therefore kept
apart: each set of features has a key and answers of its own in ``annotation/explore-NAME-ID/``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from modalens.errors import InputError, ModalensError
from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.explore.views import check_feature
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in
from modalens.studies.rater_agreement.answers import ANSWERS_KIND, BOTH, KEY_KIND, NEITHER, SCHEMA_VERSION
from modalens.version import __version__

_LONGEST_NAME = 60
_KEY = "key.json"


def choices(opened: OpenedSet) -> list[str]:
    """The answers there are."""
    return [*opened.index.modalities, BOTH, NEITHER]


def rate(run: OpenedRun, opened: OpenedSet, feature: int, answer: Any, rater: Any) -> dict[str, Any]:
    """Keep one answer of one rater; an answer of None takes an earlier one back.

    Returns
    -------
    dict
        ``file``, below the run; ``answers``, of this rater by feature.

    Raises
    ------
    ModalensError
        If the answer, the feature or the name is none, or another process writes there.
    """
    check_feature(opened.index, feature)
    label = str(opened.index.column("label")[feature])
    if label == "dead":
        raise InputError(f"Feature {feature} never fires; there is nothing to rate.")
    if answer is not None and answer not in choices(opened):
        raise InputError(f"There is no such answer; choose one of {', '.join(choices(opened))}.")
    name = _checked(rater)
    folder, page = _place(run, opened)
    path = folder / _file(name)
    with alone_in(folder, "writing answers to"):
        if not (folder / _KEY).is_file():
            write_document(folder / _KEY, KEY_KIND, SCHEMA_VERSION, _key(opened, page))
        answers = _answers(path, name)
        answers.pop(str(feature), None)
        if answer is not None:
            answers[str(feature)] = answer
        values = {"rater": name, "page": page, "choices": choices(opened), "answers": answers}
        write_document(path, ANSWERS_KIND, SCHEMA_VERSION, values)
    return {"file": path.relative_to(run.layout.folder).as_posix(), "answers": answers}


def ratings(run: OpenedRun, opened: OpenedSet, rater: Any) -> dict[str, Any]:
    """The answers of a rater so far, by feature."""
    name = _checked(rater)
    folder, _ = _place(run, opened)
    return {"answers": _answers(folder / _file(name), name)}


def _checked(rater: Any) -> str:
    if not isinstance(rater, str) or not rater.strip():
        raise InputError("Write your name first.")
    name = rater.strip()
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError(f"A name has at most {_LONGEST_NAME} letters that can be printed.")
    return name


def _file(name: str) -> str:
    """A file's name that no name of a person can lead out of the folder."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-")
    return f"answers-{safe[:40] or 'rater'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"


def _place(run: OpenedRun, opened: OpenedSet) -> tuple[Path, str]:
    """The folder of the answers, and the id of what is rated."""
    each = opened.each
    what = json.dumps([each.name, each.store.digest, each.mds.labels.tolist()])
    page = hashlib.sha256(what.encode()).hexdigest()[:12]
    return run.layout.folder / "annotation" / f"explore-{each.name}-{page}", page


def _answers(path: Path, name: str) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = read_document(path, ANSWERS_KIND, SCHEMA_VERSION)
    answers = found.get("answers")
    if found.get("rater") != name or not isinstance(answers, dict):
        raise ModalensError(f"{path} holds no answers of {name}; move it away.")
    return dict(answers)


def _key(opened: OpenedSet, page: str) -> dict[str, Any]:
    first, second = opened.index.modalities
    labels = opened.each.mds.labels.tolist()
    return {
        "modalens": __version__,
        "page": page,
        "representation": opened.each.name,
        "rule": opened.each.mds.rule,
        "choices": choices(opened),
        "answer_of_class": {first: first, second: second, "cross": BOTH},
        "classes_hidden": False,
        "items": [
            {"item": number, "feature": number, "class": label}
            for number, label in enumerate(labels)
            if label != "dead"
        ],
    }
