"""A run in Python: one folder with everything that was made of one set of embeddings, and the steps on it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from modalens.edit.operations import check_indices
from modalens.edit.saved import Edit
from modalens.errors import InputError
from modalens.features import FeatureModel, TrainConfig, load_features
from modalens.interpret.sweep import Sweep
from modalens.pairs import Pairs
from modalens.runs.choice import RAW, one_of
from modalens.runs.explaining import ExplainedPair, Explanation, explain, explain_pair
from modalens.runs.export_files import EXPORT
from modalens.runs.exporting import export
from modalens.runs.import_config import ImportConfig
from modalens.runs.importing import import_features
from modalens.runs.interpretation import Interpretation, InterpretConfig
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.learning import Learned, configure, folder_for, measure_learned, train_on
from modalens.runs.naming import NameConfig, NameFrom, Names, name_run
from modalens.runs.origin import open_pairs, open_vlm
from modalens.runs.reporting import ReportConfig, report_run
from modalens.runs.representations import Representation, find_representations
from modalens.runs.scoring import ScoreConfig, Scores, last_config, score_into
from modalens.runs.studying import run_study
from modalens.runs.sweep_config import OWN_OPTIONS, SweepConfig
from modalens.runs.sweeping import size_for, sweep_run
from modalens.store import EmbeddingStore
from modalens.studies.registry import find_study
from modalens.studies.result import StudyResult
from modalens.towers.base import VLM


class Run:
    """A run folder, opened with :meth:`open`.

    Every step keeps what it makes in the folder, and reuses it while its inputs are the same.

    Attributes
    ----------
    layout
        Where its parts lie; see :class:`~modalens.runs.layout.RunFolder`.
    """

    def __init__(self, layout: RunFolder) -> None:
        self.layout = layout

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The run at a path: a run's folder, its ``embeddings`` folder, or a bare store.

        Raises
        ------
        ModalensError
            If there is none.
        """
        return cls(RunFolder.find(path))

    def __repr__(self) -> str:
        learned = ", ".join(each.name for each in self.layout.all_learned()) or "none"
        return f"Run({str(self.folder)!r}, learned features: {learned})"

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.layout.folder

    @cached_property
    def store(self) -> EmbeddingStore:
        """Its embeddings."""
        return self.layout.store()

    @property
    def groups(self) -> np.ndarray | None:
        """One label a pair, of pairs that are drawn together: the image, where several pairs share one; else None."""
        return self.store.groups

    def pairs(self) -> Pairs:
        """The pairs, from the source that they were embedded from."""
        return open_pairs(self.store)

    def vlm(self, device: str | None = None) -> VLM:
        """The model that embedded them."""
        return open_vlm(self.store, device)

    @property
    def representations(self) -> dict[str, Representation]:
        """What the run can be seen through, by name: ``raw``, and each set of learned features.

        Those that are encoded and scored; nothing is computed here. :attr:`left_out` says why others are missing.
        """
        return {each.name: each for each in find_representations(self.layout, make=False).representations}

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why a representation is not in :attr:`representations`: a sentence by name."""
        return dict(find_representations(self.layout, make=False).left_out)

    def score(self, config: ScoreConfig | None = None, **options: Any) -> Scores:
        """Score the embeddings, and encode and score every set of learned features in the same way.

        Parameters
        ----------
        config, options
            Fields of :class:`~modalens.runs.scoring.ScoreConfig`; as it was done last where none is given.
        """
        if config is not None or options:
            config = ScoreConfig.of(config or last_config(self.layout.scores), options, "Scoring")
        return find_representations(self.layout, config).representations[0].scores

    def take_in(self, features: str | Path, name: str | None = None) -> Learned:
        """Take in a dictionary that another library trained, encode the pairs with it and score the codes.

        Parameters
        ----------
        features
            Its file or folder; see :class:`~modalens.runs.importing.ImportConfig`.
        name
            Folder below ``features/``; by default after the library and the size.
        """
        where = import_features(self.layout, ImportConfig(Path(features), name))
        return measure_learned(where, self.store, score_into(self.layout.scores, self.store).config)

    def train(
        self, learner: str, name: str | None = None, split: str | None = None, **options: Any
    ) -> Learned:
        """Learn features on the embeddings, encode the pairs with them and score the codes.

        Parameters
        ----------
        learner
            ``sae`` or ``ncl`` (see :mod:`modalens.features.registry`).
        name
            Folder below ``features/``; by default after the learner and its size.
        split
            Value of the metadata column ``split`` to train on; the other pairs are held out.
        options
            Fields of the learner's configuration and of :class:`modalens.features.TrainConfig`. An autoencoder
            without ``n_features`` and ``k`` takes the size that the run's :meth:`sweep` recommends, if it has one.
        """
        store = self.store
        options = {**size_for(self.layout, learner, options), **options}
        config, training = configure(learner, int(store.image.shape[1]), options)
        folder = folder_for(self.layout, name or config.label, config, store, training, split)
        train_on(config, store, training, folder, split=split)
        return measure_learned(
            self.layout.learned(folder.name),
            store,
            score_into(self.layout.scores, store).config,
            device=training.device,
        )

    def sweep(
        self, config: SweepConfig | None = None, *, training: TrainConfig | None = None, **options: Any
    ) -> Sweep:
        """Train autoencoders of several sizes and seeds on one pass, compare them, and recommend a size.

        Parameters
        ----------
        config, training, options
            Fields of :class:`~modalens.runs.sweep_config.SweepConfig` and of :class:`modalens.features.TrainConfig`,
            such as ``n=(256, 512)``, ``k=(4, 8)``, ``seeds=3`` and ``steps=1000``.
        """
        schedule = {field.name for field in fields(TrainConfig)} - set(OWN_OPTIONS)
        how = {name: value for name, value in options.items() if name in schedule}
        what = {name: value for name, value in options.items() if name not in schedule}
        return sweep_run(
            self.layout, SweepConfig.of(config, what, "A sweep"), TrainConfig.of(training, how, "A sweep")
        )

    def model(self, features: str | None = None) -> FeatureModel:
        """Learned features by name; the run's only ones by default.

        Raises
        ------
        ModalensError
            If there are none of this name, or several and none is named.
        """
        name = one_of(features, [each.name for each in self.layout.all_learned()])
        if name == RAW:
            raise InputError(f"No features are learned on the run {self.folder}; learn some with train.")
        return load_features(self.layout.learned(name).folder)

    def interpret(
        self,
        config: InterpretConfig | None = None,
        *,
        features: str | None = None,
        baselines: bool = True,
        **options: Any,
    ) -> dict[str, Interpretation]:
        """Interpret every representation, and those of the baselines.

        Parameters
        ----------
        config, options
            Fields of :class:`~modalens.runs.interpretation.InterpretConfig`.
        features, baselines
            As for :func:`~modalens.runs.interpreting.interpret_run`.
        """
        config = InterpretConfig.of(config, options, "Interpreting")
        return interpret_run(self.layout, config, features=features, baselines=baselines)

    def study(
        self,
        name: str,
        *,
        features: str | None = None,
        out: Path | None = None,
        baselines: bool = True,
        **options: Any,
    ) -> dict[str, StudyResult]:
        """Run a study; see :func:`~modalens.runs.studying.run_study`.

        Parameters
        ----------
        name
            ``removal``, ``stability``, ``gender``, ``adversarial``, ``text-to-image`` or ``close-gap``.
        features, out, baselines
            As for :func:`~modalens.runs.studying.run_study`.
        options
            The study's own options.
        """
        config = find_study(name).config.of(None, options, f"The study {name}")
        return run_study(self.layout, name, config, out=out, features=features, baselines=baselines)

    def report(self, config: ReportConfig | None = None, *, out: Path | None = None, **options: Any) -> Path:
        """Write the report and give its page.

        Parameters
        ----------
        config, options
            Fields of :class:`~modalens.runs.reporting.ReportConfig`.
        out
            Folder of the report; ``report/`` in the run by default.
        """
        return report_run(self.layout, ReportConfig.of(config, options, "The report"), out=out)

    def explain(
        self, sample: str | Path | Image.Image, features: str | None = None, *, device: str | None = None
    ) -> Explanation:
        """Which features fire for a text or an image; see :func:`~modalens.runs.explaining.explain`.

        Parameters
        ----------
        sample
            A text, or an image or the :class:`~pathlib.Path` of one; a plain string is always a text.
        features
            ``raw`` or the name of learned features; by default the run's only ones, or ``raw`` if there are none.
        """
        return explain(self.representation(features), sample, device=device)

    def explain_pair(
        self,
        image: Path | Image.Image,
        text: str,
        features: str | None = None,
        *,
        device: str | None = None,
    ) -> ExplainedPair:
        """What an image and a text share, and what each has alone; arguments as for :meth:`explain`."""
        return explain_pair(self.representation(features), image, text, device=device)

    def name(
        self,
        features: str | None = None,
        *,
        vocabulary: Path | None = None,
        vocabulary_embeddings: Path | None = None,
        **options: Any,
    ) -> Names:
        """Name features and score the names; see :func:`~modalens.runs.naming.name_features`.

        Parameters
        ----------
        features
            As for :meth:`explain`.
        vocabulary, vocabulary_embeddings
            A text file of words, one a line, and a .npy file of their embeddings (v, d).
        options
            Fields of :class:`~modalens.runs.naming.NameConfig`.
        """
        words = NameFrom(vocabulary=vocabulary, vocabulary_embeddings=vocabulary_embeddings)
        return name_run(self.layout, NameConfig.of(None, options, "Naming"), words, features)

    def edit(
        self,
        chosen: str | Sequence[int],
        gain: float = 0.0,
        features: str | None = None,
        *,
        modality: str | None = None,
    ) -> Edit:
        """An edit of some features of the run, to apply, hook into a tower or save.

        Parameters
        ----------
        chosen
            The name of a class, such as ``text``, or the features.
        gain
            0 removes them, 1 changes nothing, 2 doubles them.
        features
            As for :meth:`explain`.
        modality
            Which side the embeddings to edit are of, where each is standardised on its own.
        """
        of = self.representation(features)
        model = None if of.learned is None else of.learned.model
        if isinstance(chosen, str):
            return Edit.of_class(of.mds, chosen, gain, model, modality)
        return Edit(tuple(check_indices(chosen, len(of.mds.score)).tolist()), gain, model, modality)

    def export(
        self, to: str, out: str | Path | None = None, features: str | None = None, **options: Any
    ) -> list[Path]:
        """Write features and pairs for another tool; see :func:`~modalens.runs.exporting.export`."""
        where = self.folder / EXPORT / to if out is None else out
        return export(self.representation(features), to, where, **options)

    def representation(self, features: str | None = None) -> Representation:
        """One representation, scored now where it was not: ``raw`` or learned features; by default the only ones."""
        found = {each.name: each for each in find_representations(self.layout).representations}
        return found[one_of(features, [name for name in found if name != RAW])]
