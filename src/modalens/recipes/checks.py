"""What can be known of a recipe's steps before the first one runs, so that nobody learns of it after hours."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from modalens.engine.engines import open_engine
from modalens.errors import InputError
from modalens.features import load_features
from modalens.features.logs import check_trackers
from modalens.interpret.sweep import Sweep
from modalens.options import Config
from modalens.pairs import load_pairs
from modalens.recipes.recipe import Step
from modalens.runs.choice import OF, RAW, all_of, one_of
from modalens.runs.dictionary_baselines import KINDS
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import check_judges
from modalens.runs.label_judge import label_columns
from modalens.runs.layout import RunFolder
from modalens.runs.learning import check_name
from modalens.runs.naming import CAPTIONS, NameConfig, NameFrom, read_words
from modalens.runs.sweeping import find_sweep
from modalens.store import EmbeddingStore
from modalens.studies.registry import find_study
from modalens.towers.abilities import Abilities
from modalens.towers.compute import pick_device
from modalens.towers.registry import abilities_of

# Settings that name another run of the recipe.
_RUNS = ("pairs_of", "declip", "matched", "removal", "text_to_image")
_JUDGES = ("image_embedder", "text_embedder")
_IMPORTED = "imported"


class Foreseen:
    """What the steps so far will have made when they are done.

    Parameters
    ----------
    out
        Folder of the runs; what is there already counts too.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._models: dict[str, tuple[str, str | None]] = {}
        self._learned: dict[str, dict[str, str]] = {}
        self._swept: set[str] = set()
        self._imported: dict[str, str] = {}

    def take(self, step: Step) -> None:
        """Count a step among those that are done."""
        settings = step.all_settings()
        if step.do == "embed":
            self._models[step.run] = (settings["vlm"], settings["revision"])
        elif step.do == "train":
            self._learned.setdefault(step.run, {})[settings["name"]] = settings["learner"]
        elif step.name in self._imported:
            self._learned.setdefault(step.run, {})[self._imported[step.name]] = _IMPORTED
        elif step.do == "baselines":
            own = [name for name in self._features(step.run) if OF not in name]
            for name in [settings["like"]] if settings["like"] else own:
                made = {f"{name}{OF}{kind}": kind for kind in settings["kind"] or KINDS}
                self._learned.setdefault(step.run, {}).update(made)
        elif step.do == "sweep":
            self._swept.add(step.run)

    def check(self, step: Step) -> None:
        """Refuse a step that is bound to fail after those before it.

        Raises
        ------
        ModalensError
            If its data, its model, a device or a package is not there, its model cannot do what the step asks of it,
            or it works on a run, or on features, that no step before it makes.
        """
        settings = step.all_settings()
        if step.do != "embed":
            self._check_run(step.run)
        for name in _RUNS:
            if settings.get(name) is not None:
                self._check_run(settings[name], f"{name} is {settings[name]!r}")
        if "device" in settings:
            pick_device(settings["device"])
        if step.do == "embed":
            load_pairs(settings["pairs"])
            abilities_of(settings["vlm"], settings["revision"])
            open_engine(settings["engine"], settings["workers"], settings["address"])
        elif step.do == "train":
            check_trackers(settings["tracker"])
            if settings["shuffle_pairs"] and settings["split"] is not None:
                raise InputError("shuffle_pairs deals out all texts; leave out split.")
            self._check_size(step, settings)
        elif step.do == "score" and settings["features"] is not None:
            self._check_import(step, settings)
        elif step.do == "sweep":
            self._check_named_judges(step, settings)
        elif step.do == "baselines":
            name = one_of(settings["like"], self._features(step.run))
            if name == RAW or self._learned.get(step.run, {}).get(name, "sae") != "sae":
                raise InputError(
                    f"Baselines are of an autoencoder that the run trained; {name} are none, so name others with like."
                )
        elif step.do == "interpret":
            all_of(settings["features"], self._features(step.run))
            if (encoder := self._encoder(step.run)) is not None:
                check_judges(_config(InterpretConfig, settings), encoder.modalities)
        elif step.do == "name":
            one_of(settings["features"], self._features(step.run))
            read_words(_config(NameConfig, settings), _config(NameFrom, settings))
        elif step.do == "study":
            study = find_study(settings["study"])
            choose = one_of if study.one_representation else all_of
            choose(settings["features"], self._features(step.run))
            study.refuse_early(_config(study.config, settings), self._encoder(step.run))

    def _check_size(self, step: Step, settings: Mapping[str, Any]) -> None:
        if not settings["recommended"]:
            return
        if settings["learner"] != "sae":
            raise InputError(
                f"A sweep recommends the size of an autoencoder, not of {settings['learner']} features."
            )
        for name in ("n_features", "k"):
            if name in step.settings:
                raise InputError(f"recommended takes the size of a sweep; leave out {name}.")
        if step.run not in self._swept and not isinstance(find_sweep(RunFolder(self._out / step.run)), Sweep):
            raise InputError(
                f"recommended takes the size of a sweep, and no step before it sweeps {step.run!r}."
            )

    def _check_import(self, step: Step, settings: Mapping[str, Any]) -> None:
        name = settings["name"] or load_features(settings["features"]).config.label
        check_name(name)
        if self._learned.get(step.run, {}).get(name, _IMPORTED) != _IMPORTED:
            raise InputError(f"Another step makes features {name} on the run {step.run}; give these a name.")
        self._imported[step.name] = name

    def _check_named_judges(self, step: Step, settings: Mapping[str, Any]) -> None:
        named = {name: settings[name] for name in _JUDGES if settings[name] is not None}
        if named and (encoder := self._encoder(step.run)) is not None:
            check_judges(InterpretConfig(**named), encoder.modalities)

    def _check_run(self, run: str, said: str | None = None) -> None:
        if run not in self._models and not RunFolder(self._out / run).embeddings.is_dir():
            raise InputError(
                f"{said or f'The run is {run!r}'}; no step before it embeds that, those that are embedded are "
                f"{', '.join(self._models) or 'none'}."
            )

    def _features(self, run: str) -> list[str]:
        """Names of the features of a run, those of earlier recipes too."""
        found = [each.name for each in RunFolder(self._out / run).all_learned()]
        return sorted({*found, *self._learned.get(run, [])})

    def _encoder(self, run: str) -> Abilities | None:
        """What the model of a run can do; None for embeddings that no step makes."""
        return abilities_of(*self._models[run]) if run in self._models else None


def check_columns(step: Step, run: str, store: EmbeddingStore) -> None:
    """Refuse a step that needs a column, or a split, that the pairs of a run lack, as soon as these are embedded.

    Raises
    ------
    ModalensError
        If there is no such column, or no pair of such a split.
    """
    settings = step.all_settings()
    if run == (settings.get("pairs_of") or step.run) and settings.get("split") is not None:
        store.rows_of_split(settings["split"])
    if run != step.run:
        return
    columns = [settings["groups"]] if step.do == "score" and settings["groups"] is not None else []
    if step.do == "name" and settings["source"] == CAPTIONS:
        columns.append("caption")
    if step.do in ("interpret", "sweep"):
        judges = tuple(settings[name] for name in _JUDGES)
        columns += [name for judge in judges for name in label_columns(judge or "")]
    elif step.do == "study":
        study = find_study(settings["study"])
        columns += study.columns(_config(study.config, settings))
    for name in columns:
        store.require_column(name)


def _config(kind: type[Config], settings: Mapping[str, Any]) -> Config:
    return kind(**{field.name: settings[field.name] for field in fields(kind)})
