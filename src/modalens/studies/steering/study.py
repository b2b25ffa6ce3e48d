"""Can features be steered? Add their directions at several doses, scale whole classes, and see what moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import Matrix, normalize_rows, paired_shape
from modalens.dominance.result import Dominance
from modalens.edit import class_sets, live_features
from modalens.errors import ModalensError
from modalens.progress import progress_bar
from modalens.studies.gap_closing.evaluation import read_all
from modalens.studies.result import StudyResult
from modalens.studies.steering.beside import by_dose, dose_rows, others_changed, retrieval_of
from modalens.studies.steering.classes import Scaling
from modalens.studies.steering.config import SteerConfig
from modalens.studies.steering.effects import RESAMPLES, Share, steerable, tested
from modalens.studies.steering.halves import READERS, Halves, other_labels
from modalens.studies.steering.moved import SteeredSide
from modalens.studies.steering.sentences import statements

FEATURES, STEERABLE, RANDOM = "features", "steerable features", "random directions"
# So many random directions also steer retrieval, which costs most.
_RETRIEVING = 100


def steer(
    image: Matrix,
    text: Matrix,
    labels: Sequence[Any] | np.ndarray,
    mds: Dominance,
    *,
    directions: tuple[Float[np.ndarray, "f d"], Float[np.ndarray, "f d"]] | None = None,
    embeddings: tuple[Matrix, Matrix] | None = None,
    also: Mapping[str, np.ndarray] | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    config: SteerConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Steer every feature and every class, and measure what moves, beside random directions and random features.

    Half of the pairs choose for each feature the label that its activation goes with best, and fit what reads labels:
    a probe (logistic regression of one side's embeddings), and zero-shot classes (the other side's mean embedding of
    each label). On the other half, which shares no group with it, x' = x + s L u is read: u the feature's direction of
    length one, L the mean length of embeddings, s the dose. The *effect* is how much the share of samples of other
    labels grows that are read as the feature's label, mean over doses.

    Random directions of equal norm choose their label in the same way, so that chance has the same choice. A feature
    is *steerable* where its effect is beyond them (rank among the random directions, false-discovery rate 5 % over
    features) and beyond that of other features of about its energy on the same label (bootstrap over pairs).

    Parameters
    ----------
    image, text
        Paired features (n, f), dense or sparse, or lazy columns.
    labels
        One label a pair; None, NaN and empty strings mark pairs without one, which are left out.
    mds
        Dominance scores of these features; the option ``rule`` makes the classes.
    directions
        What one unit of each feature adds to the embeddings of either side; by default features are dimensions.
    embeddings
        What is steered, (n, d) each; by default the features themselves.
    also
        Other labels by name, whose probes should stay as they are.
    groups
        One label a pair; pairs of one group are never apart in the halves, and are drawn together in intervals.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`SteerConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Tables ``shares`` (how many features are steerable, beside random directions put to the same test), ``doses``
        (response by dose), ``features`` (one row a feature, side and reader) and ``classes`` (see
        :meth:`modalens.studies.steering.classes.Scaling.table`).

    Raises
    ------
    ModalensError
        If sizes do not match, labels leave nothing to tell apart, or an option is unknown or out of range.
    """
    config = SteerConfig.of(config, options, "steer")
    _, n_features = paired_shape(image, text, mds.modalities)
    if n_features != len(mds.score):
        raise ModalensError(
            f"The scores are of {len(mds.score)} features and the matrices have {n_features}; give the matrices "
            "that were scored."
        )
    mds = mds.with_rule(config.rule)
    halves = Halves.of(
        (image, text) if embeddings is None else embeddings,
        labels,
        groups,
        most_labels=config.labels,
        max_pairs=config.max_pairs,
        seed=config.seed,
    )
    work = _Steering.of(halves, (image, text), directions, mds, also or {}, config)
    sets = [each for each in class_sets(mds) if not each.skipped]
    m, randoms = len(work.live), config.random_directions
    steps = 2 * 2 * (2 * m + 2 * randoms) + 2 * (m + _RETRIEVING)
    steps += len(sets) * len(config.gains) * (1 + 2 * config.draws)
    with progress_bar("Steering", steps) as advance:
        features, doses, shares = work.features(advance)
        classes = work.scaling.table(sets, config.gains, config.draws, config.seed, advance)
    return StudyResult(
        name="steer",
        title="What moves when features are turned up",
        tables={"shares": shares, "doses": doses, "features": features, "classes": classes},
        statements=[*statements(shares, doses, classes, config), *halves.notes],
        config={
            "rule": mds.rule,
            "modalities": list(mds.modalities),
            "labels": list(halves.names),
            "also": list(also or {}),
            "pairs": len(halves.labels),
            "steered_pairs": int(halves.steered.sum()),
            "groups": len(np.unique(halves.keys)) if groups is not None else None,
            "live_features": m,
            "doses": list(config.doses),
            "gains": list(config.gains),
            "random_directions": config.random_directions,
            "draws": config.draws,
            "resamples": RESAMPLES,
            "seed": config.seed,
        },
        source=dict(source or {}),
    )


@dataclass(frozen=True, eq=False)
class _Steering:
    """Everything that is steered and held against it."""

    halves: Halves
    sides: tuple[SteeredSide, SteeredSide]
    codes: tuple[np.ndarray, np.ndarray]
    directions: tuple[np.ndarray, np.ndarray]
    live: Int[np.ndarray, " m"]
    also: Mapping[str, np.ndarray]
    mds: Dominance
    config: SteerConfig

    @classmethod
    def of(
        cls,
        halves: Halves,
        features: tuple[Matrix, Matrix],
        directions: tuple[np.ndarray, np.ndarray] | None,
        mds: Dominance,
        also: Mapping[str, np.ndarray],
        config: SteerConfig,
    ) -> "_Steering":
        codes = [
            np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float64)
            for x in (read_all(side, halves.rows, "features") for side in features)
        ]
        width = halves.embeddings[0].shape[1]
        if directions is None:
            directions = (np.eye(width), np.eye(width))
        if any(each.shape != (len(mds.score), width) for each in directions):
            raise ModalensError(
                f"Directions of shape {directions[0].shape} do not fit {len(mds.score)} features of embeddings of "
                f"{width} dimensions."
            )
        others = {}
        for name, values in also.items():
            numbers = other_labels(np.asarray(values, dtype=object)[halves.rows], config.labels)
            if numbers is not None and len(np.unique(numbers[halves.choosing])) > 1:
                others[name] = numbers
        return cls(
            halves,
            (SteeredSide(halves, 0, config.doses), SteeredSide(halves, 1, config.doses)),
            (codes[0], codes[1]),
            (np.asarray(directions[0], np.float64), np.asarray(directions[1], np.float64)),
            live_features(mds),
            others,
            mds,
            config,
        )

    @property
    def scaling(self) -> Scaling:
        """For the classes."""
        steered = [codes[self.halves.steered] for codes in self.codes]
        return Scaling(self.sides, steered, self.directions, self.live, self.mds.modalities)

    def random(self, number: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Random unit directions, and the label that each goes with best on the choosing half."""
        width = self.halves.embeddings[0].shape[1]
        rng = np.random.default_rng(np.random.SeedSequence([self.config.seed, 5, place]))
        rows = normalize_rows(rng.standard_normal((number, width)))[0]
        along = [x @ rows.T for x in self.halves.embeddings]
        return rows, self.halves.association(along).argmax(axis=1)

    def features(self, advance: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """The tables ``features``, ``doses`` and ``shares``."""
        association = self.halves.association([codes[:, self.live] for codes in self.codes])
        targets = association.argmax(axis=1)
        energy = sum((codes[:, self.live] ** 2).sum(axis=0) for codes in self.codes)
        null, posing = self.random(self.config.random_directions, 0), self.random(len(self.live), 1)
        features, doses, shares = [], [], []
        start = {
            "feature": self.live,
            "class": self.mds.labels[self.live],
            "label": np.array(self.halves.names)[targets],
            "association": association.max(axis=1),
            "energy": energy / max(float(energy.sum()), 1e-300),
        }
        for side, name in zip(self.sides, self.mds.modalities, strict=True):
            own = normalize_rows(self.directions[side.side][self.live])[0]
            moves = self._moves(side, own, targets, posing, advance)
            for kind, tables in moves.items():
                doses += [table.assign(side=name, of=kind) for table in tables[1]]
            for reader, readable in READERS.items():
                how = {"draws": self.config.draws, "seed": self.config.seed, "advance": advance}
                found, read = tested(side, reader, own, targets, energy, null, **how)
                chance, chance_read = tested(side, reader, *posing, np.ones(len(own)), null, **how)
                share, by_chance = steerable(found), steerable(chance, independent=True)
                shares += [
                    _share_row(name, readable, kind, len(own), each)
                    for kind, each in ((FEATURES, share), (RANDOM, by_chance))
                ]
                now = side.now(side.readers[reader])
                everything = np.ones(len(own), dtype=bool)
                for kind, one, labels, of, some in (
                    (FEATURES, found, targets, read, everything),
                    (STEERABLE, found, targets, read, share.steerable),
                    (RANDOM, chance, posing[1], chance_read, everything),
                ):
                    if some.any():
                        mean = by_dose(one.effects, of, now, labels, some)
                        rows = dose_rows(
                            {"measure": readable}, self.config.doses, mean, side.keys, self.config.seed
                        )
                        doses.append(rows.assign(side=name, of=kind))
                features.append(
                    _feature_rows({**start, "side": name, "reader": readable}, found, share, moves)
                )
        order = ["side", "of", "measure", "dose", "value", "value_low", "value_high"]
        return (
            pd.concat(features, ignore_index=True),
            pd.concat(doses, ignore_index=True)[order],
            pd.DataFrame(shares),
        )

    def _moves(
        self,
        side: SteeredSide,
        own: np.ndarray,
        targets: np.ndarray,
        posing: tuple[np.ndarray, np.ndarray],
        advance: Any,
    ) -> dict[str, tuple[dict[str, np.ndarray], list[pd.DataFrame]]]:
        """What else features and random directions move: by measure the mean over doses, and the rows by dose."""
        fires = self.codes[side.side][self.halves.steered][:, self.live] > 0
        some = min(_RETRIEVING, len(own))
        found = {}
        for kind, rows, labels, firing in (
            (FEATURES, own, targets, fires),
            (RANDOM, posing[0][:some], posing[1][:some], None),
        ):
            retrieved = retrieval_of(side, rows, labels, firing, advance)
            values = {name: of[0].mean(axis=1) for name, of in retrieved.items()}
            keys, doses, seed = side.keys[side.gallery.queries], self.config.doses, self.config.seed
            tables = [
                dose_rows({"measure": name}, doses, of[1], keys, seed) for name, of in retrieved.items()
            ]
            for column, numbers in self.also.items():
                changed, mean = others_changed(side, numbers, rows, labels)
                values[f"changed_{column}"] = changed.mean(axis=1)
                tables.append(dose_rows({"measure": f"changed {column}"}, doses, mean, side.keys, seed))
            found[kind] = (values, tables)
        return found


def _share_row(side: str, reader: str, kind: str, number: int, share: Share) -> dict[str, Any]:
    return {
        "side": side,
        "reader": reader,
        "of": kind,
        "number": number,
        "steerable": int(share.steerable.sum()),
        "share": share.value,
        "share_low": share.low,
        "share_high": share.high,
    }


def _feature_rows(
    start: Mapping[str, Any], found: Any, share: Share, moves: Mapping[str, Any]
) -> pd.DataFrame:
    (low, high), (beyond_low, beyond_high) = found.interval, found.beyond_interval
    return pd.DataFrame(
        {
            **start,
            "effect": found.effects.effect,
            "effect_low": low,
            "effect_high": high,
            "random": float(found.random.mean()),
            "p": found.p,
            "q": share.q,
            "beyond_energy": found.beyond,
            "beyond_energy_low": beyond_low,
            "beyond_energy_high": beyond_high,
            "steerable": share.steerable,
            "stray": found.effects.stray,
            **moves[FEATURES][0],
        }
    )
