"""``modalens train baselines``."""

from typing import Any

from modalens.cli.options import Json, RunPath, takes
from modalens.runs.dictionary_baselines import BaselinesConfig


@takes(BaselinesConfig)
def baselines(run: RunPath, json: Json = False, *, config: dict[str, Any]) -> None:
    """Make the dictionaries that learned features are held against: random in part, PCA, ICA, NMF; of the same size.

    They are scored at once; interpret, studies and report then take them beside the learned features. Run again, it
    keeps what is there.

    --json prints for each kind "features", "unexplained" (by split and modality, each with its 95 % interval) and the
    "classes" under twofold.
    """
    from modalens.cli.output import print_json
    from modalens.options import DEFAULT_ESTIMATOR, DEFAULT_RULE
    from modalens.runs.dictionary_baselines import train_baselines
    from modalens.runs.layout import RunFolder

    found = train_baselines(RunFolder.find(run), BaselinesConfig(**config))
    told: dict[str, dict[str, Any]] = {}
    for kind, each in found.items():
        dominance = each.scores.dominance[DEFAULT_ESTIMATOR]
        told[kind] = {
            "features": each.model.config.n_features,
            "unexplained": {
                split: {side: list(value) for side, value in one.fvu.items()}
                for split, one in each.quality.items()
            },
            "classes": {} if isinstance(dominance, str) else dominance.counts(DEFAULT_RULE),
        }
    if json:
        print_json(told)
        return
    for kind, values in told.items():
        split, shares = list(values["unexplained"].items())[-1]
        left = ", ".join(f"{side} {value[0]:.4f}" for side, value in shares.items())
        classes = ", ".join(f"{count} {label}" for label, count in values["classes"].items())
        print(f"{kind}: variance unexplained ({split}) {left}; {classes}")
    print("Next: modalens interpret and modalens report show them beside the learned features.")
