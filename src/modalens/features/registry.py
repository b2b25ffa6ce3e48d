"""Feature learners by name: the one list that trainer, files, command line, recipes and report ask.

A learner is a file in this folder and a line in ``_KINDS``. Classes stand there as text, "module:NAME", and are
imported when somebody asks for them, so that naming what there is needs no PyTorch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from typing import Any

from modalens.errors import ModalensError


@dataclass(frozen=True)
class FeatureKind:
    """One kind of features and what learns them.

    Attributes
    ----------
    name
        What it is called in a configuration's ``kind``.
    command
        What the command line and recipes call it, as in ``modalens train sae``; kinds that share a command
        share a configuration, whose ``kind`` tells them apart.
    what
        What it is, in lower case and without an article.
    config, learner, model
        The :class:`~modalens.features.config.FeatureConfig`, the :class:`~modalens.features.base.Learner` and
        the :class:`~modalens.features.base.FeatureModel`: each the class or "module:NAME". No learner for features
        that other libraries train.
    lr
        Peak learning rate where none is given.
    """

    name: str
    command: str
    what: str
    config: str | type[Any]
    learner: str | type[Any] | None
    model: str | type[Any]
    lr: float

    @property
    def config_class(self) -> type[Any]:
        """Class of its configuration."""
        return _found(self.config)

    @property
    def learner_class(self) -> type[Any]:
        """Class that trains it.

        Raises
        ------
        ModalensError
            If it is not trained here.
        """
        if self.learner is None:
            raise ModalensError(f"{self.name!r} features are trained by other libraries.")
        return _found(self.learner)

    @property
    def model_class(self) -> type[Any]:
        """Class of what is trained."""
        return _found(self.model)

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether values are those of a configuration of this kind."""
        names = {field.name for field in fields(self.config_class)}
        return names == set(values) and values.get("kind", self.name) == self.name


_SAE: dict[str, Any] = {
    "command": "sae",
    "what": "sparse autoencoder",
    "config": "modalens.features.config:SAEConfig",
    "learner": "modalens.features.learners:SAELearner",
    "lr": 3e-3,
}
_KINDS: dict[str, FeatureKind] = {
    kind.name: kind
    for kind in (
        FeatureKind("topk", model="modalens.features.sae:TopKSAE", **_SAE),
        FeatureKind("batch_topk", model="modalens.features.sae:BatchTopKSAE", **_SAE),
        FeatureKind("matryoshka", model="modalens.features.sae:MatryoshkaSAE", **_SAE),
        FeatureKind("aligned", model="modalens.features.sae:AlignedSAE", **_SAE),
        *(
            FeatureKind(
                name,
                model=f"modalens.features.{model}",
                **{**_SAE, "learner": f"modalens.features.{learner}"},
            )
            for name, model, learner in (
                ("shared_topk", "shared_choice:SharedTopKSAE", "shared_choice:SharedTopKLearner"),
                ("group_sparse", "group_sparse:GroupSparseSAE", "group_sparse:GroupSparseLearner"),
                ("separate", "separate:SeparateSAE", "separate:SeparateLearner"),
                ("frozen_decoder", "frozen:FrozenDecoderSAE", "frozen:FrozenDecoderLearner"),
                ("frozen_encoder", "frozen:FrozenEncoderSAE", "frozen:FrozenEncoderLearner"),
                ("soft_frozen", "frozen:SoftFrozenSAE", "frozen:SoftFrozenLearner"),
                ("pca", "fitted:PCAFeatures", "fitted:PCALearner"),
                ("ica", "fitted:ICAFeatures", "fitted:ICALearner"),
                ("nmf", "fitted:NMFFeatures", "fitted:NMFLearner"),
            )
        ),
        FeatureKind(
            "ncl",
            command="ncl",
            what="non-negative contrastive projector",
            config="modalens.features.config:NCLConfig",
            learner="modalens.features.ncl:NCLLearner",
            model="modalens.features.ncl:NCL",
            lr=1e-3,
        ),
        *(
            FeatureKind(
                name,
                command="",
                what="dictionary of another library",
                config="modalens.features.foreign.config:ImportedConfig",
                learner=None,
                model=f"modalens.features.foreign.model:{model}",
                lr=0.0,
            )
            for name, model in (("imported", "ImportedSAE"), ("imported_encoder", "ImportedEncoder"))
        ),
    )
}


def register(kind: FeatureKind) -> None:
    """Add a kind of features, so that it trains, saves, loads and has a card like those that come with modalens.

    Raises
    ------
    ModalensError
        If there is one of this name.
    """
    if kind.name in _KINDS:
        raise ModalensError(f"There are {kind.name!r} features already; choose another name.")
    _KINDS[kind.name] = kind


def kinds(command: str | None = None) -> tuple[str, ...]:
    """Names of the kinds that are trained here, or of those of one command."""
    trained = {name: kind for name, kind in _KINDS.items() if kind.learner is not None}
    return tuple(name for name, kind in trained.items() if command in (None, kind.command))


def kinds_on_disk() -> tuple[FeatureKind, ...]:
    """Every kind that may be saved, those of other libraries too."""
    return tuple(_KINDS.values())


def commands() -> tuple[str, ...]:
    """What command line and recipes call the learners."""
    return tuple(dict.fromkeys(_KINDS[name].command for name in kinds()))


def kind_named(name: str) -> FeatureKind:
    """The kind of a name.

    Raises
    ------
    ModalensError
        If there is none.
    """
    if name not in _KINDS:
        raise ModalensError(f"There are no {name!r} features; there are {', '.join(kinds())}.")
    return _KINDS[name]


def config_class(command: str) -> type[Any]:
    """Class of the configuration of what a command trains.

    Raises
    ------
    ModalensError
        If there is no such learner.
    """
    names = kinds(command)
    if not names:
        raise ModalensError(f"There is no learner {command!r}; there are {', '.join(commands())}.")
    return _KINDS[names[0]].config_class


def kind_of(config: Any) -> FeatureKind:
    """The kind that a configuration is of."""
    for kind in _KINDS.values():
        if type(config) is kind.config_class and kind.fits(asdict(config)):
            return kind
    raise ModalensError(f"No learner is registered for {type(config).__name__}.")


def kind_of_values(values: Mapping[str, Any]) -> FeatureKind:
    """The kind whose configuration has these fields."""
    for kind in _KINDS.values():
        if kind.fits(values):
            return kind
    raise ModalensError(f"No learner is registered for a configuration of {', '.join(values)}.")


def kind_of_model(model: type[Any]) -> FeatureKind:
    """The kind that a class of trained features is of."""
    for kind in _KINDS.values():
        if kind.model_class is model:
            return kind
    raise ModalensError(f"No learner is registered for {model.__name__}; take one of its subclasses.")


def kind_of_card(card: Mapping[str, Any]) -> FeatureKind:
    """The kind that a manifest's card of a model speaks of."""
    for kind in _KINDS.values():
        if kind.model_class.__name__ == card.get("class"):
            return kind
    raise ModalensError(f"No learner is registered for {card.get('class')!r}.")


def _found(where: str | type[Any]) -> type[Any]:
    if not isinstance(where, str):
        return where
    module, _, name = where.partition(":")
    found: type[Any] = getattr(import_module(module), name)
    return found
