"""``modalens train sweep``."""

from typing import Any

from modalens.cli.options import Json, RunPath, takes
from modalens.features import TrainConfig
from modalens.runs.sweep_config import OWN_OPTIONS, SweepConfig

_SHOWN = {
    "n": "n",
    "k": "k",
    "found": "found again",
    "found_weighted": "weighted by firing",
    "cosine": "nearest cosine",
    "unexplained": "unexplained, held out",
    "dead": "dead",
    "mono_image": "Mono {first}",
    "mono_text": "Mono {second}",
    "image": "{first}",
    "cross": "cross",
    "text": "{second}",
    "split": "split",
    "private": "private",
}


@takes(SweepConfig, TrainConfig, leave_out=OWN_OPTIONS)
def sweep(run: RunPath, json: Json = False, *, config: dict[str, Any], training: dict[str, Any]) -> None:
    """Train autoencoders of several sizes and seeds on one pass, compare them, and recommend a size.

    Every n is combined with every k: --n 128,256,512 --k 4,8. Run again after a stop, it goes on where it was. The
    report shows the table; modalens train sae without --n-features and --k takes the recommended size.

    --json prints "choice" ("n", "k", "reason"), "configurations" (means over seeds, lowest and highest seed), "rows"
    (one a configuration and seed), "pairs" and "notes".
    """
    from modalens.cli.output import print_frame, print_json
    from modalens.runs.layout import RunFolder
    from modalens.runs.sweeping import sweep_run

    found = sweep_run(RunFolder.find(run), SweepConfig(**config), TrainConfig(**training))
    if json:
        print_json(
            {
                "choice": vars(found.choice),
                "configurations": found.summary.to_dict("records"),
                "rows": found.table.to_dict("records"),
                "pairs": dict(found.pairs),
                "notes": list(found.notes),
            }
        )
        return
    first, second = found.modalities
    heads = {name: head.format(first=first, second=second) for name, head in _SHOWN.items()}
    shown = found.summary[list(heads)].rename(columns=heads).dropna(axis=1, how="all")
    print_frame(shown, f"Means over {found.seeds} seeds", keys=2)
    for note in found.notes:
        print(note)
    print(f"Recommended: {found.choice} {found.sureness}")
    print("Next: modalens train sae takes this size, modalens report shows the table.")
