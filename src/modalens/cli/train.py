"""``modalens train``: one command a learner, from the registry of learners."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.lazy import LazyCommand, command_of, group_of, in_module
from modalens.cli.options import Json, is_given, takes
from modalens.errors import InputError
from modalens.features import TrainConfig
from modalens.features.registry import commands, config_class, kind_named, kinds
from modalens.runs.learning import LearnConfig

_MORE = """Run again after a stop, it goes on where it was.

    On several processes: torchrun --nproc-per-node 2 --no-python modalens train {name} ...

    --json prints "model" (path) and the last line of the training log: "step", "train" and "held_out".
    """

_MORE_COMMANDS = {
    "baselines": "Make the dictionaries that learned features are held against: random in part, PCA, ICA, NMF.",
    "sweep": "Train autoencoders of several sizes and seeds on one pass, compare them, and recommend a size.",
}


def _summary(name: str) -> str:
    return f"Train a {kind_named(kinds(name)[0]).what}."


def _command(name: str) -> Any:
    shape = config_class(name)

    @takes(shape, TrainConfig, LearnConfig, leave_out=("d",))
    def train(
        context: typer.Context,
        data: Annotated[
            Path,
            typer.Argument(
                help="A run, a store, a .npy file of two stacked matrices (2, M, D), or a .json file of a joined store "
                "of three modalities or more."
            ),
        ],
        out: Annotated[
            Path | None,
            typer.Option(
                help="Folder of the model (default: features/NAME in the run, of a .json in the folder of its name)."
            ),
        ] = None,
        json: Json = False,
        *,
        config: dict[str, Any],
        training: dict[str, Any],
        how: dict[str, Any],
    ) -> None:
        from modalens.features.trainer import pair_width
        from modalens.runs.learning import folder_for
        from modalens.runs.sweeping import size_for

        pairs, run = _open(data, out)
        given = {option: value for option, value in config.items() if is_given(context, option)}
        config |= size_for(run, name, given)
        built = shape(d=pair_width(pairs), **config)
        learn = LearnConfig(**how)
        schedule = TrainConfig(**training)
        if out is None:
            out = folder_for(run, learn.name or built.label, built, pairs, schedule, learn.split)
        _train(built, pairs, schedule, out, learn, json)

    train.__doc__ = f"{_summary(name)}\n\n    {_MORE.format(name=name)}"
    return command_of(name, train)


def _open(data: Path, out: Path | None) -> tuple[Any, Any]:
    from modalens.runs.joined import joined_run
    from modalens.runs.layout import RunFolder
    from modalens.store import JoinedStore
    from modalens.store.npy import load_stacked

    if data.suffix == ".json":
        return JoinedStore.open(data), joined_run(data)
    if data.suffix == ".npy":
        if out is None:
            raise InputError("A .npy file is in no run; say with --out where the model goes.")
        return load_stacked(data), None
    run = RunFolder.find(data)
    return run.store(), run


def _train(config: Any, pairs: Any, training: Any, folder: Path, how: LearnConfig, json: bool) -> None:
    from modalens.cli.output import print_json
    from modalens.features import distributed
    from modalens.runs.learning import train_on

    with distributed.joined():
        trained = train_on(config, pairs, training, folder, split=how.split, trackers=how.tracker)
        if distributed.rank() > 0:
            return
    last = trained.log[-1]
    if json:
        print_json({"model": str(folder), **last})
        return
    found, on = last["train"], "train" if "held_out" not in last else "held_out"
    names = dict(zip(_of_sides(found), getattr(pairs, "modalities", ("image", "text")), strict=True))
    print(f"{trained.model!r} after {last['step']} steps")
    for name, words in (("train", ""), ("held_out", " of held-out pairs")):
        if "fvu_image" in last.get(name, ()):
            shares = ", ".join(f"{told} {_share(last[name][f'fvu_{side}'])}" for side, told in names.items())
            print(f"Variance unexplained{words}: {shares}")
    active = ", ".join(f"{told} {found[f'active_{side}']}" for side, told in names.items())
    print(f"Active features: {active}; dead {found['dead']}")
    where = "the training pairs" if on == "train" else "held-out pairs"
    print(_recalls(f"before, on {where}", last[on]["retrieval_before"]))
    print(_recalls(f"after, on {where}", last[on]["retrieval"]))
    print(f"Model: {folder}")


def _of_sides(found: dict[str, Any]) -> list[str]:
    """What the log calls the modalities, in their order."""
    before = "active_share_"
    return [name.removeprefix(before) for name in found if name.startswith(before)]


def _recalls(when: str, retrieval: dict[str, Any]) -> str:
    """One line on retrieval R@1, 5 and 10, and among how many."""
    ways = []
    for way in ("image_to_text", "text_to_image"):
        shares = " / ".join(f"{retrieval[way][k][0]:.3f}" for k in ("1", "5", "10"))
        ways.append(f"{way.replace('_', ' ')} {shares}")
    return f"Retrieval R@1/5/10 {when} ({retrieval['n']} images): {', '.join(ways)}"


train = group_of(
    "train",
    "Learn sparse features on a store's embeddings.",
    {name: LazyCommand(name, _summary(name), partial(_command, name)) for name in commands()}
    | {
        name: in_module(name, summary, f"modalens.cli.{name}:{name}")
        for name, summary in _MORE_COMMANDS.items()
    },
)


def _share(value: float | None) -> str:
    return "undefined (the embeddings do not vary)" if value is None else f"{value:.4f}"
