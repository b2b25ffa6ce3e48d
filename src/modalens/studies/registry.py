"""What a study is to the rest of the package, and the list of those there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError
from modalens.options import Options
from modalens.pairs.modality import many
from modalens.studies.figure import StudyFigure
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.towers.abilities import Abilities

# One folder a study, called otherwise than the study, whose function has the study's name; each has a module ``study``
# with the function, ``on_run`` with the constant STUDY and, if it draws, ``figures`` with FIGURES.
_FOLDERS = {
    "removal": "class_removal",
    "stability": "class_stability",
    "gender": "attribute_probing",
    "adversarial": "adversarial_images",
    "text-to-image": "text_to_image_control",
    "close-gap": "gap_closing",
    "top-m": "top_sample_count",
    "class-properties": "class_characteristics",
    "dictionary-bench": "sparse_probing",
    "steer": "steering",
    "language": "caption_language",
    "metric-agreement": "metric_relations",
    "known-gap": "gap_validation",
}


@dataclass(frozen=True)
class Study:
    """A study that can be run on a representation of a run.

    Attributes
    ----------
    name
        As on the command line and in recipes.
    summary
        One or two sentences: what it measures.
    config
        Its options.
    on_run
        Runs it on one representation, with its configuration, a folder for what is kept between two runs (one for
        all representations), and what is kept with the result as its source.
    inputs
        What the result follows from beyond the representation and the configuration: files by content, the
        interpretation, models from other seeds.
    modalities
        What the first side of the pairs may be; empty for anything.
    one_representation
        Whether it is run on one representation only (it takes minutes), and on the run's own encoder only.
    together
        Whether it is run once for all representations of a run together; its result is kept with the embeddings.
    called
        The name of its folder of results for a configuration; by default its own.
    check_early
        Refuses a configuration that is bound to fail, before any work is done: takes it and what the encoder can do
        (None where that is not known yet).
    columns
        Metadata columns without which it cannot be run with a configuration.
    """

    name: str
    summary: str
    config: type[Options]
    on_run: Callable[[Subject, Any, Path, Mapping[str, Any]], StudyResult]
    inputs: Callable[[Subject, Any], Mapping[str, Any]]
    modalities: tuple[str, ...] = ()
    one_representation: bool = False
    together: bool = False
    called: Callable[[Any], str] | None = None
    check_early: Callable[[Any, Abilities | None], None] | None = None
    columns: Callable[[Any], Sequence[str]] = lambda _: ()

    def folder(self, config: Any) -> str:
        """The name of its folder of results for a configuration."""
        return self.name if self.called is None else self.called(config)

    def refuse_early(self, config: Any, encoder: Abilities | None = None) -> None:
        """Refuse a configuration that is bound to fail, in a moment and before the pairs are there.

        Raises
        ------
        ModalensError
            If the encoder cannot do what the study asks of it, or a package or file is missing.
        """
        if encoder is not None:
            self._check_modalities(*encoder.modalities)
        if self.check_early is not None:
            self.check_early(config, encoder)

    def check(self, subject: Subject) -> None:
        """Refuse pairs that the study makes no sense for.

        Raises
        ------
        ModalensError
            If the first side of the pairs is none of its modalities.
        """
        self._check_modalities(*subject.mds.modalities)

    def _check_modalities(self, first: str, second: str) -> None:
        if self.modalities and first not in self.modalities:
            raise ModalensError(
                f"The study {self.name} is of {' and '.join(map(many, self.modalities))}, and these pairs are of "
                f"{many(first)} and {many(second)}, so it does not apply to them."
            )


def study_names() -> tuple[str, ...]:
    """The studies there are."""
    return tuple(_FOLDERS)


def study_functions() -> dict[str, str]:
    """The function of each study, by the name that Python gives it, and the module that holds it."""
    return {name.replace("-", "_"): f"modalens.studies.{folder}.study" for name, folder in _FOLDERS.items()}


def find_study(name: str) -> Study:
    """The study of a name.

    Raises
    ------
    ModalensError
        If there is none.
    """
    if name not in _FOLDERS:
        raise ModalensError(f"There is no study {name!r}; there are {', '.join(_FOLDERS)}.")
    found: Study = import_module(f"modalens.studies.{_FOLDERS[name]}.on_run").STUDY
    return found


def study_figures(name: str) -> Sequence[StudyFigure]:
    """What a study draws for the report; nothing for one that is not in the list."""
    module = f"modalens.studies.{_FOLDERS[name]}.figures" if name in _FOLDERS else None
    if module is None or find_spec(module) is None:
        return ()
    found: Sequence[StudyFigure] = import_module(module).FIGURES
    return found
