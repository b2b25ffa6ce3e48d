"""One representation of a run as studies see it (:class:`modalens.studies.subject.Subject`)."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from modalens.errors import InputError, ModalensError
from modalens.features import FeatureModel, load_features
from modalens.pairs import Pairs
from modalens.pairs.modality import many
from modalens.runs.galleries import pictures_of
from modalens.runs.interpretation import SIDES, InterpretConfig, SampleSets
from modalens.runs.interpreting import FOLDER, collect_samples, load_interpretation
from modalens.runs.layout import LearnedFeatures
from modalens.runs.naming import load_names
from modalens.runs.origin import open_pairs, open_vlm
from modalens.runs.representations import Representation, find_representations
from modalens.runs.samples import embed_samples
from modalens.store import PairStore
from modalens.store.kept import is_finished, read_inputs
from modalens.towers.base import VLM

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudySubject(Representation):
    """A representation with what studies ask of it beside its features."""

    @classmethod
    def of(cls, each: Representation) -> Self:
        """The subject that a representation is."""
        return cls(**{field.name: getattr(each, field.name) for field in fields(Representation)})

    @property
    def model(self) -> Any:
        """The learned model; None for the embeddings themselves."""
        return None if self.learned is None else self.learned.model

    def pairs(self) -> Pairs:
        """The pairs, from the source that the store names."""
        return open_pairs(self._embedded())

    def vlm(self) -> VLM:
        """The model that embedded them."""
        return open_vlm(self._embedded())

    def _embedded(self) -> PairStore:
        return self.store if self.embeddings is None else self.embeddings

    def pictures(self, rows: Sequence[int]) -> list[Image.Image | None]:
        """Small pictures of some pairs of the store, by row; None for those that are gone."""
        return pictures_of(self.store, self.store.ids[np.asarray(rows)])

    def embed_samples(self, embedder: Any, folder: Path) -> np.ndarray:
        """Every pair's image by another model (N, h), kept in a folder."""
        return embed_samples(self.store, embedder, folder)

    def _judges(self) -> tuple[InterpretConfig, Mapping[str, Any]]:
        inputs = read_inputs(self.folder / FOLDER)
        if inputs is None:
            raise InputError(
                f"{self.name} was not interpreted; run modalens interpret {self.run.folder} first."
            )
        try:
            return InterpretConfig(**inputs["config"]), inputs["embedders"]
        except (KeyError, TypeError, ModalensError) as error:
            raise InputError(
                f"The interpretation in {self.folder / FOLDER} cannot be read ({error}); interpret again."
            ) from error

    def judges(self) -> Mapping[str, Any]:
        """The models that said how alike samples are when it was interpreted.

        Raises
        ------
        InputError
            If it was not interpreted.
        """
        return self._judges()[1]

    def judged_samples(self) -> SampleSets:
        """The distinct samples, embedded by these models."""
        config, _ = self._judges()
        return collect_samples(self._embedded(), self.run.whole.samples, self.rows, config)

    def similarity(self) -> Mapping[str, np.ndarray] | None:
        """Mean cosine between each feature's strongest samples, by side, (f,); None if it was not interpreted."""
        found = load_interpretation(self)
        return None if found is None else {side: found.mono[side].similarity for side in SIDES}

    def verdicts(self) -> np.ndarray | None:
        """``private``, ``split``, ``unclear`` or empty for every feature; None if it was not interpreted."""
        found = load_interpretation(self)
        return None if found is None else np.asarray(found.bridges.verdict)

    def name_scores(self) -> Mapping[str, np.ndarray] | None:
        """How well the features' names tell held-out samples, by what is scored, (f,); None where there are none."""
        found = load_names(self)
        if found is None:
            return None
        return {
            f"{what} of names on {many(modality)}": found.table[f"{side}_{what}"].to_numpy(dtype=np.float64)
            for what in ("detection", "intruder")
            for side, modality in zip(SIDES, self.mds.modalities, strict=True)
        }

    def retrained(self) -> Iterator[tuple[str, FeatureModel]]:
        """Autoencoders learned on the same pairs with the same settings from other seeds.

        They lie beside this one or in its own folder; what is damaged there is left out, with a warning.
        """
        if self.model is None or not self.model.has_decoder:
            return
        own, own_seed = _without_seed(self.model)
        learned_on = _learned_on(self.folder)
        beside = self.run.all_learned()
        for where in (*LearnedFeatures(self.folder).seeds(), *beside):
            if not is_finished(where.folder) or _learned_on(where.folder) != learned_on:
                continue
            try:
                model = load_features(where.folder)
            except ModalensError as error:  # damaged features beside these cost no others
                logger.warning("Left out of the seeds of %s: %s", self.name, error)
                continue
            described, seed = _without_seed(model)
            if described == own and seed != own_seed:
                yield f"seed {seed}", model

    def beside(self, name: str) -> "StudySubject":
        """Another representation of the same run.

        Raises
        ------
        InputError
            If there is none of this name, or it cannot be used.
        """
        found = find_representations(self.run, self.scores.config, make=False)
        known = {each.name: each for each in found.representations if each.name != self.name}
        if name not in known:
            why = dict(found.left_out).get(
                name, f"there are {', '.join(known) or 'none'} beside {self.name}."
            )
            raise InputError(f"The run has no other features {name!r} to study: {why}")
        return StudySubject.of(known[name])

    def siblings(self) -> list["StudySubject"]:
        """Every other representation of the same run, dictionary baselines too."""
        found = find_representations(self.run, self.scores.config, make=False).representations
        return [StudySubject.of(each) for each in found if each.name != self.name]


def _learned_on(folder: Path) -> tuple[Any, Any] | None:
    """The embeddings and the split that features were learned on; None where no record says so."""
    inputs = read_inputs(folder)
    return None if inputs is None else (inputs.get("embeddings"), inputs.get("split"))


def _without_seed(model: FeatureModel) -> tuple[str, int | None]:
    """What features are but for the seed and the values that follow from it; and the seed, if they say one."""
    described: Mapping[str, Any] = model.card()
    kept = {name: value for name, value in described.items() if name not in ("seed", "weights_sha256")}
    return json.dumps(kept, sort_keys=True, default=str), described.get("seed")
