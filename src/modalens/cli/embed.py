"""``modalens embed``."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, takes
from modalens.engine.engines import EngineConfig
from modalens.pairs.sources import examples
from modalens.runs.shards import EmbedConfig, EmbedStep


@takes(EmbedStep, EmbedConfig, EngineConfig)
def embed(
    source: Annotated[
        str,
        typer.Argument(help=f"Where the pairs come from, by example: {examples()} (docs/howto/sources.md)."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the store (default: runs/SOURCE-VLM/embeddings).")
    ] = None,
    json: Json = False,
    *,
    step: dict[str, Any],
    config: dict[str, Any],
    engine: dict[str, Any],
) -> None:
    """Embed pairs into a store; run again after a stop, it goes on where it was.

    --json prints "store" (path), "pairs", "features", "skipped" (a list of "id" and "reason"),
    "share_waiting_for_images" (of the image tower's time) and "retried" (shards begun again).
    """
    from modalens.cli.output import print_json
    from modalens.engine.engines import open_engine
    from modalens.errors import one_line
    from modalens.pairs import load_pairs
    from modalens.runs.embedding import embed_with
    from modalens.towers import load_vlm

    how = EmbedStep(**step)
    out = out or Path("runs") / f"{_slug(source)}-{_slug(how.vlm)}" / "embeddings"
    opened = open_engine(**engine)
    pairs = load_pairs(source)
    model = load_vlm(how.vlm, device=how.device, revision=how.revision)
    with opened:
        store, effort = embed_with(
            opened, pairs, model, out, EmbedConfig(**config), strict=how.strict, device=how.device
        )
    skipped = [] if store.manifest is None else store.manifest.skipped
    if json:
        shape = {"pairs": len(store), "features": store.image.shape[1]}
        took = {"share_waiting_for_images": effort.seconds.share_waiting, "retried": effort.retried}
        print_json({"store": str(out), **shape, "skipped": skipped, **took})
        return
    print(f"{len(store)} pairs of {store.image.shape[1]} features in {out}")
    if skipped:
        print(f"{len(skipped)} skipped, listed in {out / 'manifest.json'}; the first:")
        for item in skipped[:5]:
            print(one_line(f"  {item['id']}: {item['reason']}"))


def _slug(name: str) -> str:
    """A name made fit for a folder."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[-60:]
