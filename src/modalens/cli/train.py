"""``modalens train``: learn features on a store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.errors import ModalensError

app = typer.Typer(
    add_completion=False, help="Learn sparse features on a store's embeddings.", no_args_is_help=True
)

Data = Annotated[
    Path, typer.Argument(help="A run, a store, or a .npy file of two stacked matrices (2, M, D).")
]
Out = Annotated[Path | None, typer.Option(help="Folder of the model (default: features/NAME in the run).")]
NFeatures = Annotated[int, typer.Option(help="Number of features.")]
Steps = Annotated[int, typer.Option(help="Budget of batches.")]
BatchSize = Annotated[int, typer.Option(help="Pairs in a batch.")]
Rate = Annotated[float, typer.Option(help="Peak learning rate.")]
Patience = Annotated[
    int,
    typer.Option(help="Stop when active features have settled over this many evaluations; 0 never stops."),
]
Seed = Annotated[int, typer.Option(help="Seed of initial values and of the order of pairs.")]
Split = Annotated[
    str | None,
    typer.Option(help="Train on pairs whose column 'split' is this; the others are held out."),
]
Tracker = Annotated[
    list[str] | None, typer.Option(help="Where the log goes too: tensorboard or wandb; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


@app.command()
def sae(
    data: Data,
    kind: Annotated[str, typer.Option(help="topk, batch_topk, matryoshka or aligned.")] = "topk",
    n_features: NFeatures = 1024,
    k: Annotated[int, typer.Option(help="Active features of a code.")] = 32,
    standardise: Annotated[str, typer.Option(help="none (published), shared or per_modality.")] = "none",
    steps: Steps = 2000,
    batch_size: BatchSize = 1024,
    lr: Rate = 3e-3,
    patience: Patience = 0,
    seed: Seed = 0,
    split: Split = None,
    out: Out = None,
    tracker: Tracker = None,
    json: Json = False,
) -> None:
    """Train a sparse autoencoder; run again after a stop, it goes on where it was.

    On several processes: torchrun --nproc-per-node 2 --no-python modalens train sae ...
    """
    from modalens.features import SAEConfig, TrainConfig
    from modalens.features.trainer import pair_width

    pairs, folder = _open(data, out, f"{kind}-n{n_features}-k{k}-seed{seed}")
    config = SAEConfig(pair_width(pairs), n_features, k, kind, standardise, seed=seed)
    training = TrainConfig(steps=steps, batch_size=batch_size, lr=lr, patience=patience, seed=seed)
    _train(config, pairs, training, folder, split, tracker or (), json)


@app.command()
def ncl(
    data: Data,
    n_features: NFeatures = 1024,
    temperature: Annotated[float, typer.Option(help="What similarities are divided by.")] = 0.07,
    steps: Steps = 2000,
    batch_size: BatchSize = 1024,
    lr: Rate = 1e-3,
    patience: Patience = 0,
    seed: Seed = 0,
    split: Split = None,
    out: Out = None,
    tracker: Tracker = None,
    json: Json = False,
) -> None:
    """Train a non-negative contrastive projector; run again after a stop, it goes on where it was.

    On several processes: torchrun --nproc-per-node 2 --no-python modalens train ncl ...
    """
    from modalens.features import NCLConfig, TrainConfig
    from modalens.features.trainer import pair_width

    pairs, folder = _open(data, out, f"ncl-n{n_features}-seed{seed}")
    config = NCLConfig(pair_width(pairs), n_features, temperature, seed=seed)
    training = TrainConfig(steps=steps, batch_size=batch_size, lr=lr, patience=patience, seed=seed)
    _train(config, pairs, training, folder, split, tracker or (), json)


def _open(data: Path, out: Path | None, name: str) -> tuple[Any, Path]:
    from modalens.runs import load_stacked
    from modalens.runs.layout import RunFolder

    if data.suffix == ".npy":
        if out is None:
            raise ModalensError("A .npy file is in no run; say with --out where the model goes.")
        return load_stacked(data), out
    run = RunFolder.find(data)
    return run.store(), out or run.folder / "features" / name


def _train(
    config: Any,
    pairs: Any,
    training: Any,
    folder: Path,
    split: str | None,
    trackers: Sequence[str],
    json: bool,
) -> None:
    from modalens.cli.output import print_json
    from modalens.features import distributed
    from modalens.runs.learning import train_on

    with distributed.joined():
        trained = train_on(config, pairs, training, folder, split=split, trackers=trackers)
        if distributed.rank() > 0:
            return
    last = trained.log[-1]
    if json:
        print_json({"model": str(folder), **last})
        return
    found = last["train"]
    print(f"{trained.model!r} after {last['step']} steps")
    for name, words in (("train", ""), ("held_out", " of held-out pairs")):
        if "fvu_image" in last.get(name, ()):
            sides = last[name]
            print(
                f"Variance unexplained{words}: images {sides['fvu_image']:.4f}, texts {sides['fvu_text']:.4f}"
            )
    print(
        f"Active features: images {found['active_image']}, texts {found['active_text']}; dead {found['dead']}"
    )
    print(_recalls("before", found["retrieval_before"]))
    print(_recalls("after", found["retrieval"]))
    print(f"Model: {folder}")


def _recalls(when: str, retrieval: dict[str, Any]) -> str:
    """One line on retrieval R@1, 5 and 10."""
    ways = []
    for way in ("image_to_text", "text_to_image"):
        shares = " / ".join(f"{retrieval[way][k][0]:.3f}" for k in ("1", "5", "10"))
        ways.append(f"{way.replace('_', ' ')} {shares}")
    return f"Retrieval R@1/5/10 {when}: {', '.join(ways)}"


train = typer.main.get_command(app)
