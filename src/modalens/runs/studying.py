"""Run studies on every representation of a run, and of its baselines, and keep their results."""

import logging
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modalens.errors import InputError, ModalensError
from modalens.options import Options
from modalens.runs.choice import RAW, Scope, all_of, one_of
from modalens.runs.layout import RunFolder
from modalens.runs.representations import Representation, representations
from modalens.runs.subjects import StudySubject
from modalens.store.kept import RECORD_NAME, Kept, difference, kept_or_made, read_inputs, read_notes, stable
from modalens.store.lock import alone_in
from modalens.studies.registry import Study, find_study
from modalens.studies.result import RESULT_NAME, StudyResult
from modalens.version import __version__

logger = logging.getLogger(__name__)

_WORK = "work"


def run_study(
    run: RunFolder,
    name: str,
    config: Options | None = None,
    *,
    out: Path | None = None,
    features: str | None = Scope.features,
    baselines: bool = Scope.baselines,
) -> dict[str, StudyResult]:
    """Run a study on every representation of a run; what was done in the same way before is kept.

    Parameters
    ----------
    run
        The run.
    name
        One of :func:`modalens.studies.registry.study_names`.
    config
        The study's options; its defaults if there are none.
    out
        Folder of the results, one folder a representation in it; ``studies/NAME`` in the run by default.
    features
        Study this representation alone: ``raw`` or the name of learned features. By default all are studied, but
        for studies of one representation the run's only learned set, and the embeddings where it has none.
    baselines
        Whether to run it on the run's baselines too (into their own ``studies/NAME``).

    Returns
    -------
    dict
        The results of the run itself by representation.

    Raises
    ------
    ModalensError
        If there is no such study or representation, or the run lacks what it needs.
    """
    study = find_study(name)
    config = study.config() if config is None else config
    study.refuse_early(config)
    called = study.folder(config)
    known = representations(run)
    own = _chosen(study, known, features)
    folder = run.study(called) if out is None else out
    with alone_in(folder):
        found, failed = _study_all(study, own, config, folder, folder / _WORK)
        if not found:
            raise next(iter(failed.values()))
        title = next(iter(found.values())).title
        _note_failures(called, title, own, failed, folder)
        for kind, baseline in run.baselines() if baselines and not study.one_representation else ():
            logger.info("Study %s of the baseline %s", name, kind)
            others = representations(baseline, known[0].scores.config)
            others = [each for each in others if each.name in {one.name for one in own}]
            _, failed = _study_all(study, others, config, baseline.study(called), folder / _WORK)
            _note_failures(called, title, others, failed, baseline.study(called))
    return found


def _chosen(study: Study, own: Sequence[Representation], wanted: str | None) -> list[Representation]:
    """The representations to study."""
    learned = [each.name for each in own if each.name != RAW]
    if study.together:
        if wanted is not None:
            raise InputError(f"The study {study.name} compares all representations; leave out --features.")
        return [each for each in own if each.name == RAW]
    names = [one_of(wanted, learned)] if study.one_representation else all_of(wanted, learned)
    return [each for each in own if each.name in names]


def _study_all(
    study: Study, found: Sequence[Representation], config: Options, folder: Path, work: Path
) -> tuple[dict[str, StudyResult], dict[str, ModalensError]]:
    """Results by representation, and why others could not be studied (a class without members, say)."""
    results, failed = {}, {}
    for each in found:
        logger.info("Study %s of %s", study.name, each.name)
        try:
            results[each.name] = _kept_or_made(study, StudySubject.of(each), config, folder / each.name, work)
        except ModalensError as error:
            failed[each.name] = error
    return results, failed


def _note_failures(
    name: str, title: str, found: Sequence[Representation], failed: Mapping[str, ModalensError], folder: Path
) -> None:
    """Keep a result without tables that says why there are none, and of what."""
    abouts = {each.name: stable(each.about()) for each in found}
    for kind, error in failed.items():
        logger.warning("%s was not studied: %s", kind, error)
        (folder / kind / RECORD_NAME).unlink(missing_ok=True)
        note = StudyResult(
            name.replace("_", "-"), title, {}, [f"Not studied: {error}"], {}, source=abouts[kind]
        )
        note.save(folder / kind)


def _kept_or_made(
    study: Study, subject: StudySubject, config: Options, folder: Path, work: Path
) -> StudyResult:
    study.check(subject)
    kept = _kept(study, subject, config, folder)
    source = {
        "modalens": __version__,
        "study": study.name,
        "options": _options(config),
        "inputs": kept.inputs["inputs"],
        **subject.about(),
    }

    def make() -> StudyResult:
        study.refuse_early(config)
        result = study.on_run(subject, config, work, stable(source))
        result.save(folder)
        return result

    return kept_or_made(kept, lambda: StudyResult.load(folder), make)


def _kept(study: Study, subject: StudySubject, config: Options, folder: Path) -> Kept:
    inputs = {
        "study": study.name,
        "options": _options(config),
        "inputs": dict(study.inputs(subject, config)),
        "of": subject.about(),
    }
    return Kept(
        folder,
        f"the study {study.name}",
        inputs,
        f"modalens study {study.name}",
        leave_out=(_WORK,),
        notes={"asked": asdict(config)},
    )


def find_studies(
    run: RunFolder, found: Sequence[Representation]
) -> tuple[list[tuple[str, str, StudyResult]], list[tuple[str, str]]]:
    """The results in a run's ``studies/`` that are of its representations as they are now.

    Parameters
    ----------
    run
        The run.
    found
        Its representations.

    Returns
    -------
    results
        Folder of the study, name of the representation, and the result.
    left_out
        What is there and cannot be shown, and why, in a sentence.
    """
    known = {each.name: each for each in found}
    results, left_out = [], []
    for folder in sorted(path.parent for path in run.folder.glob(f"studies/*/*/{RESULT_NAME}")):
        called, name = folder.parent.name, folder.name
        problem = (
            f"There are no features {name} to hold it against; learn them or remove {folder}."
            if name not in known
            else _problem(StudySubject.of(known[name]), folder)
        )
        if problem is None:
            try:
                results.append((called, name, StudyResult.load(folder)))
                continue
            except ModalensError as error:
                problem = str(error)
        left_out.append((f"the study {called} of {name}", problem))
    return results, left_out


def _problem(subject: StudySubject, folder: Path) -> str | None:
    """Why a study's result cannot be shown; None if it can."""
    recorded = read_inputs(folder)
    try:
        if recorded is None:
            return _problem_without_record(subject, folder)
        study = find_study(str(recorded["study"]))
        config = study.config(**read_notes(folder)["asked"])
        return _kept(study, subject, config, folder).problem()
    except (KeyError, TypeError, ModalensError, OverflowError) as error:
        return f"The record of the study in {folder} cannot be read ({error}); run the study again."


def _problem_without_record(subject: StudySubject, folder: Path) -> str | None:
    """The same of a result without a record: only a note that the study does not apply has none."""
    result = StudyResult.load(folder)
    if result.tables or (folder / RECORD_NAME).exists():
        return f"The study in {folder} does not say what it was made from; run the study again."
    about = stable(subject.about())
    if result.source != about:
        changed = difference(result.source, about)
        return f"That it was not studied was said of something else ({changed}); run the study again."
    return None


def _options(config: Options) -> dict[str, Any]:
    """The options of a study but for files, which its inputs hold by their content."""
    hints = typing.get_type_hints(type(config))
    files = {name for name, hint in hints.items() if Path in (hint, *typing.get_args(hint))}
    return {name: value for name, value in asdict(config).items() if name not in files}
