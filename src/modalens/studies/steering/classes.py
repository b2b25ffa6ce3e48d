"""What scaling the activations of a whole class does, beside random features of equal energy and random directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import normalize_rows
from modalens.edit import IndexSet, equal_energy_sets
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import against_random, corrected
from modalens.statistics.intervals import interval
from modalens.studies.steering.effects import RESAMPLES
from modalens.studies.steering.moved import TOP, SteeredSide

ENDS = {"_energy": "equal energy", "_norm": "equal norm"}
RETRIEVAL, GAP = "retrieval", "gap"


@dataclass(frozen=True, eq=False)
class Scaling:
    """The steered half with the activations of some features scaled.

    Attributes
    ----------
    sides
        Samples of each side, with what reads them.
    codes
        Activations of each side's steered samples, (n, f).
    directions
        What one unit of each feature adds to each side, (f, d).
    live
        The features that controls may take.
    names
        What the two sides are called.
    """

    sides: Sequence[SteeredSide]
    codes: Sequence[Float[np.ndarray, "n f"]]
    directions: Sequence[Float[np.ndarray, "f d"]]
    live: Int[np.ndarray, " k"]
    names: tuple[str, str]

    def table(
        self,
        sets: Sequence[IndexSet],
        gains: Sequence[float],
        draws: int,
        seed: int,
        advance: Callable[[int], None],
    ) -> pd.DataFrame:
        """One row a class, gain and measure.

        Returns
        -------
        DataFrame
            ``value`` (with its 95 % interval over pairs) is the outcome with the class scaled, ``whole`` without; for
            each kind of random sets (``_energy``: random features of equal energy scaled alike; ``_norm``: random
            directions added, as long on each sample as what the class adds) ``random``, the ``difference`` to them with
            its interval, ``p``, ``q`` (corrected for the table) and the smallest ``detectable`` difference. ``measure``
            is what reads the label (share read right), ``retrieval`` (share of samples whose other half is among the
            nearest 10, both ways) or ``gap`` (distance of the sides' mean unit embeddings, without intervals).
        """
        energy = sum((side**2).sum(axis=0) for side in self.codes)
        whole, whole_gap = self._measured((0.0, 0.0))
        rows = []
        for each in sets:
            target = float(energy[each.indices].sum())
            beside = equal_energy_sets(self.live, energy, target, draws, seed)
            for gain in gains:
                added = self._added(each.indices, gain)
                own, gap = self._measured(added)
                advance(1)
                controls: dict[str, list[Any]] = {"_energy": [], "_norm": []}
                for place, one in enumerate(beside):
                    controls["_energy"].append(self._measured(self._added(one.indices, gain)))
                    controls["_norm"].append(self._measured(self._as_long(added, place, seed)))
                    advance(2)
                start = {"class": each.name, "features": len(each), "energy": target / float(energy.sum())}
                start["gain"] = gain
                rows += [{**start, **self._row(key, whole, own, controls, seed)} for key in own]
                gaps = {f"random{end}": np.mean([one[1] for one in of]) for end, of in controls.items()}
                rows.append(
                    {**start, "measure": GAP, "side": "both", "whole": whole_gap, "value": gap, **gaps}
                )
        table = pd.DataFrame(rows)
        if len(table):
            columns = [f"p{end}" for end in ENDS]
            table[[f"q{end}" for end in ENDS]] = corrected(table[columns].to_numpy())
        return table

    def _added(self, chosen: Int[np.ndarray, " k"], gain: float) -> tuple[np.ndarray, np.ndarray]:
        first, second = (
            (gain - 1) * codes[:, chosen] @ rows[chosen]
            for codes, rows in zip(self.codes, self.directions, strict=True)
        )
        return first, second

    def _as_long(self, added: Sequence[np.ndarray], draw: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        width = added[0].shape[1]
        rng = np.random.default_rng(np.random.SeedSequence([seed, 13, draw]))
        direction = normalize_rows(rng.standard_normal((1, width)))[0]
        first, second = (np.linalg.norm(each, axis=1)[:, None] * direction for each in added)
        return first, second

    def _measured(self, added: Sequence[Any]) -> tuple[dict[tuple[str, str], np.ndarray], float]:
        """Outcome of each sample by measure and side, and the gap."""
        moved = [side.x + each for side, each in zip(self.sides, added, strict=True)]
        found = {
            (name, self.names[side.side]): (reader.logits(x).argmax(axis=1) == side.labels).astype(np.float64)
            for side, x in zip(self.sides, moved, strict=True)
            for name, reader in side.readers.items()
        }
        first, second = (normalize_rows(x)[0] for x in moved)
        cosines = (first @ second.T).astype(np.float32)
        same = self.sides[0].keys[:, None] == self.sides[0].keys
        own = np.diagonal(cosines).copy()
        cosines[same] = -np.inf
        kept = [(cosines >= own[:, None]).sum(axis=1) < TOP, (cosines >= own).sum(axis=0) < TOP]
        found[RETRIEVAL, "both"] = np.mean(kept, axis=0)
        return found, float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)))

    def _row(
        self,
        key: tuple[str, str],
        whole: Mapping[tuple[str, str], np.ndarray],
        own: Mapping[tuple[str, str], np.ndarray],
        controls: Mapping[str, Sequence[Any]],
        seed: int,
    ) -> dict[str, Any]:
        keys = self.sides[0].keys
        low, high = interval(resampled_means(own[key][None], keys, RESAMPLES, seed)[0])
        row: dict[str, Any] = {"measure": key[0], "side": key[1], "whole": float(whole[key].mean())}
        row |= {"value": float(own[key].mean()), "value_low": low, "value_high": high}
        for end, of in controls.items():
            draws = np.stack([one[0][key] for one in of])
            against = against_random(own[key], draws, keys)
            row |= {
                f"random{end}": float(draws.mean()),
                f"difference{end}": against.difference,
                f"difference{end}_low": against.low,
                f"difference{end}_high": against.high,
                f"p{end}": against.p,
                f"detectable{end}": against.detectable,
            }
        return row
