"""Run the steps of a recipe, each once: a step is done again only when something it follows from has changed."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError
from modalens.recipes.checks import Foreseen, check_columns
from modalens.recipes.recipe import Recipe, Step
from modalens.recipes.stand_ins import with_stand_ins
from modalens.recipes.steps import STEPS
from modalens.redaction import redacted_values
from modalens.runs.layout import RunFolder
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in
from modalens.version import __version__

logger = logging.getLogger(__name__)

_KIND, _SCHEMA_VERSION = "modalens recipe step", 1


@dataclass(frozen=True)
class Done:
    """A step that is done: ``seconds`` it took, or None where it was done before."""

    step: Step
    seconds: float | None


def run_recipe(recipe: Recipe, out: str | Path) -> Iterator[Done]:
    """Do the steps of a recipe in their order; run again after a stop, it goes on where it was.

    Parameters
    ----------
    recipe
        From :func:`~modalens.recipes.recipe.load_recipe`.
    out
        Folder with one run for each that the recipe names, and ``steps/`` with what was done. What a changed step
        makes anew is moved to ``replaced/``, never deleted.

    Yields
    ------
    Done
        Each step after it is done.

    Raises
    ------
    ModalensError
        If a step fails, or is bound to, with its name: a metadata column or a split that is not there is told as soon
        as the pairs are embedded; data, a model or a package that is not there, and a model that
        cannot do what a step asks of it, are told before the first step runs. Or if another process works in
        ``out``. Finished steps are kept.
    """
    out = Path(out)
    with alone_in(out, "running a recipe in"):
        keyed = _keyed(recipe, out)
        for number, (step, key) in enumerate(keyed):
            later = keyed[number + 1 :]
            before = _record(out, step)
            if _is_done(before, key):
                _check_columns(step, later, out)
                yield Done(step, None)
                continue
            run = RunFolder(out / step.run)
            if before and before.get("key") != key:
                _set_aside(step, run, out, str(before.get("key", "")))
            _write(out, step, {"key": key, "done": False})
            logger.info("Step %s", step.name)
            started = time.monotonic()
            with _named(step):
                if recipe.smoke:
                    run.mark_stand_ins()
                STEPS[step.do].do(out, run, *step.configs())
            seconds = time.monotonic() - started
            _write(out, step, {"key": key, "done": True, "seconds": round(seconds, 3)})
            _check_columns(step, later, out)
            yield Done(step, seconds)


def _keyed(recipe: Recipe, out: Path) -> list[tuple[Step, str]]:
    """Every step with its key; those that are still to be done are checked."""
    keys: dict[str, str] = {}
    foreseen = Foreseen(out)
    keyed = []
    for unfilled in recipe.steps:
        step = _with_stand_ins(unfilled, out) if recipe.smoke else unfilled
        key = keys[step.name] = step.key(keys)
        keyed.append((step, key))
        before = _record(out, step)
        with _named(step):
            if not _is_done(before, key):
                foreseen.check(step)
            foreseen.take(step)
    return keyed


def _is_done(before: Mapping[str, Any], key: str) -> bool:
    return before.get("key") == key and bool(before.get("done"))


def _check_columns(step: Step, later: Sequence[tuple[Step, str]], out: Path) -> None:
    """Once pairs are embedded, hold what later steps that are still to be done ask of their metadata against it."""
    if step.do != "embed":
        return
    store = RunFolder(out / step.run).store()
    for each, key in later:
        if not _is_done(_record(out, each), key):
            with _named(each):
                check_columns(each, step.run, store)


def _with_stand_ins(step: Step, out: Path) -> Step:
    folder = out / "stand-ins"

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(each) for each in value]
        return with_stand_ins(value, folder) if isinstance(value, str) else value

    return replace(step, settings={name: put(value) for name, value in step.settings.items()})


def _set_aside(step: Step, run: RunFolder, out: Path, key: str) -> None:
    """Move what the step made of other inputs out of the way, where it would be taken for an earlier part of this."""
    if step.do == "embed":
        made = run.folder
    elif step.do == "train":
        made = run.learned(step.settings["name"]).folder
    else:
        return
    if not made.exists():
        return
    aside = out / "replaced" / f"{step.name}-{key[:8]}"
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{step.name}-{key[:8]}-{number}")
    aside.parent.mkdir(parents=True, exist_ok=True)
    made.rename(aside)
    logger.warning("The step %s has changed; what it made before is now in %s", step.name, aside)


def _record(out: Path, step: Step) -> dict[str, Any]:
    path = out / "steps" / f"{step.name}.json"
    return dict(read_document(path, _KIND, _SCHEMA_VERSION)) if path.exists() else {}


def _write(out: Path, step: Step, more: dict[str, Any]) -> None:
    stamp = {
        "modalens": __version__,
        "do": step.do,
        "run": step.run,
        "settings": redacted_values(step.settings),
    }
    document = json.loads(json.dumps({**stamp, **more}))
    write_document(out / "steps" / f"{step.name}.json", _KIND, _SCHEMA_VERSION, document)


@contextmanager
def _named(step: Step) -> Iterator[None]:
    """Put the step's name before what went wrong in it."""
    try:
        yield
    except ModalensError as error:
        where = f"The step {step.name}"
        said = str(error)
        raise type(error)(said if said.startswith(where) else f"{where}: {said}") from error
