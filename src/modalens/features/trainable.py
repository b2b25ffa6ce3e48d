"""Train features in one call, and open them again."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from modalens.errors import ModalensError
from modalens.features import trainer
from modalens.features.base import FeatureModel
from modalens.features.loading import load_features
from modalens.features.registry import kind_of_model
from modalens.features.settings import TrainConfig
from modalens.features.trainer import PairData, pair_width


class Trainable(FeatureModel):
    """Features that :meth:`fit` trains and :meth:`load` opens."""

    @classmethod
    def fit(
        cls,
        data: PairData,
        *,
        train: TrainConfig | None = None,
        held_out: PairData | None = None,
        out: str | Path | None = None,
        trackers: Sequence[str] = (),
        **options: Any,
    ) -> Self:
        """Train on a store, or on two paired matrices (image, text), each (n, d), or aligned ones of more modalities.

        Parameters
        ----------
        data
            An :class:`modalens.EmbeddingStore` or a pair of matrices; for more than two modalities a
            :class:`modalens.JoinedStore` or a tuple of aligned matrices.
        train
            How to train, where many options are set; the others replace what it says.
        held_out, out, trackers
            As :func:`modalens.features.train` takes them.
        options
            Fields of the configuration, such as ``n_features``, ``k`` and ``seed``, and of
            :class:`modalens.features.TrainConfig`, such as ``steps`` and ``batch_size``; ``seed`` is for both.

        Raises
        ------
        ModalensError
            If there is no such option, one is out of range, or training cannot go on.
        """
        kind = kind_of_model(cls)
        taken = {"d": pair_width(data), "kind": kind.name}
        shape = {field.name for field in fields(kind.config_class)}
        how = {field.name for field in fields(TrainConfig)}
        for name in options:
            if name in taken or name not in shape | how:
                known = ", ".join(sorted((shape | how) - set(taken)))
                raise ModalensError(f"{cls.__name__}.fit has no option {name!r}; it takes {known}.")
        values = {name: value for name, value in {**taken, **options}.items() if name in shape}
        # What a whole TrainConfig says of the order of the pairs stays; a lone seed is for both.
        how -= {"seed"} if train is not None else set()
        training = TrainConfig.of(train, {name: options[name] for name in options if name in how})
        (trained,) = trainer.train(
            [kind.config_class(**values)], data, training, held_out=held_out, out=out, trackers=trackers
        )
        assert isinstance(trained.model, cls)
        return trained.model

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the files are missing, damaged or hold other features than of this class.
        """
        found = load_features(folder)
        if not isinstance(found, cls):
            raise ModalensError(f"{folder} holds {type(found).__name__} features, not {cls.__name__}.")
        return found
