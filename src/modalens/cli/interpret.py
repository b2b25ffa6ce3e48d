"""``modalens interpret``."""

from typing import Any

from modalens.cli.options import Json, RunPath, takes
from modalens.engine.engines import EngineConfig, open_engine
from modalens.runs.choice import Scope
from modalens.runs.encoding import EncodeOn
from modalens.runs.interpretation import InterpretConfig


@takes(InterpretConfig, Scope, EncodeOn, EngineConfig)
def interpret(
    run: RunPath,
    json: Json = False,
    *,
    config: dict[str, Any],
    scope: dict[str, Any],
    on: dict[str, Any],
    engine: dict[str, Any],
) -> None:
    """Measure how interpretable features are, and whether one-sided ones are private or split.

    Done for the embeddings and for every set of features learned on them, and for the run's baselines; the
    report shows it. Features that are not encoded yet are encoded and scored first, by --workers processes.

    --json prints, for each representation, "averages" and "fidelity" (rows of tables), "verdicts" (counts by side)
    and "verdicts_of_shuffled_pairs".
    """
    from modalens.cli.output import print_frame, print_json, print_sentences
    from modalens.runs.interpreting import interpret_run
    from modalens.runs.layout import RunFolder

    with open_engine(**engine) as opened:
        found = interpret_run(RunFolder.find(run), InterpretConfig(**config), **scope, **on, engine=opened)
    if json:
        print_json(
            {
                name: {
                    "averages": each.fidelity.averages_frame().to_dict("records"),
                    "fidelity": each.fidelity.fidelity_frame().to_dict("records"),
                    "verdicts": each.bridges.counts(),
                    "verdicts_of_shuffled_pairs": each.bridges.shuffled_counts(),
                }
                for name, each in found.items()
            }
        )
        return
    for name, each in found.items():
        averages = each.fidelity.averages_frame().query("metric == 'mono'").drop(columns="metric")
        print_frame(averages, f"{name}: Mono by class", keys=2)
        for side, counts in each.bridges.counts().items():
            beside = each.bridges.shuffled_counts()[side]
            words = ", ".join(f"{counts[verdict]} {verdict} ({beside[verdict]})" for verdict in counts)
            print_sentences([f"{name}, {side} features by verdict (pairs shuffled): {words}"])
    print("Next: modalens report shows the galleries.")
