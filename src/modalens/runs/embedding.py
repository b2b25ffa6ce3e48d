"""Embed pairs with a model into a store, shard by shard."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from modalens.engine.engines import EngineConfig, open_engine
from modalens.engine.passes import Seconds
from modalens.engine.workers import Engine
from modalens.errors import ModalensError
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.progress import progress_bar
from modalens.redaction import redacted_values
from modalens.runs.shards import EmbedConfig, EmbedStep, NamedModel, Shard, embed_shard, embed_shard_by_name
from modalens.store import EmbeddingStore, ShardContent, StoreWriter
from modalens.store.manifest import Manifest
from modalens.towers.base import VLM
from modalens.version import __version__

logger = logging.getLogger(__name__)

_Task = Callable[[Shard], tuple[ShardContent, Seconds]]


@dataclass
class Effort:
    """How a store came to be: what differs between two runs of one plan, and is not in the store.

    Attributes
    ----------
    seconds
        How long the image tower waited for images, and computed, over all workers.
    retried
        Shards that were begun again because their worker died.
    """

    seconds: Seconds = field(default_factory=Seconds)
    retried: list[str] = field(default_factory=list)


def embed(
    pairs: Pairs | Iterable[Pair],
    vlm: VLM,
    out: str | Path,
    *,
    dtype: str = EmbedConfig.dtype,
    rows_per_shard: int = EmbedConfig.rows_per_shard,
    batch_size: int = EmbedConfig.batch_size,
    strict: bool = EmbedStep.strict,
    engine: str = EngineConfig.engine,
    workers: int = EngineConfig.workers,
    address: str | None = EngineConfig.address,
    device: str | None = EmbedStep.device,
) -> EmbeddingStore:
    """Embed pairs into a store on disk; run again after a stop, it goes on where it was.

    An image that several captions of one shard share is embedded once. Finished shards are never made again,
    and the result is byte for byte that of an unbroken run, whichever engine and however many workers.

    Parameters
    ----------
    pairs
        A source from :func:`modalens.load_pairs`, or any iterable of :class:`modalens.Pair`.
    vlm
        A model from :func:`modalens.load_vlm`.
    out
        The store's folder: new, empty, or holding an earlier run of the same configuration.
    dtype, rows_per_shard, batch_size
        See :class:`~modalens.runs.shards.EmbedConfig`.
    strict
        Stop at the first item that cannot become a pair, instead of listing it in the manifest.
    engine, workers, address
        Who does the work; see :func:`~modalens.engine.engines.open_engine`. Workers beside this process load
        the model by its name.
    device
        Where such workers put it, as for :func:`modalens.load_vlm`.

    Raises
    ------
    ModalensError
        If the model embeds other modalities, ``out`` holds another run or is being written to, the source
        has changed since, the model gives NaN or cannot be loaded by its name where it has to be, the disk is
        full, nothing is left to embed, the engine cannot be had, a shard kills its worker again and again, or
        (``strict``) an item is bad.
    """
    config = EmbedConfig(dtype, rows_per_shard, batch_size)
    with open_engine(engine, workers, address) as opened:
        return embed_with(opened, pairs, vlm, out, config, strict=strict, device=device)[0]


def embed_with(
    engine: Engine,
    pairs: Pairs | Iterable[Pair],
    vlm: VLM,
    out: str | Path,
    config: EmbedConfig,
    *,
    strict: bool = False,
    device: str | None = None,
) -> tuple[EmbeddingStore, Effort]:
    """:func:`embed` on an engine that is open, with what it took."""
    if isinstance(pairs, Pairs) and pairs.modalities != vlm.modalities:
        raise ModalensError(
            f"{pairs.name} holds pairs of {' and '.join(pairs.modalities)}, and {vlm.name} embeds "
            f"{' and '.join(vlm.modalities)}; take a model or a source that fits."
        )
    plan = Manifest(
        modalens=__version__,
        model=vlm.card(),
        source=redacted_values(
            pairs.card() if isinstance(pairs, Pairs) else {"source": "pairs given in memory"}
        ),
        config=asdict(config),
        d=vlm.dim,
    )
    total = pairs.count() if isinstance(pairs, Pairs) else None
    effort = Effort()
    with StoreWriter(out, plan, partial(_effective, total)) as writer:
        if writer.complete and isinstance(pairs, Pairs) and total is None:
            # Walking the source again could take hours and change nothing.
            return EmbeddingStore.open(out), effort
        with progress_bar("Embedding pairs", total) as advance:
            if engine.in_process:
                task: _Task = partial(embed_shard, vlm, config, strict, advance=advance)
            else:
                task = partial(embed_shard_by_name, NamedModel.of(vlm, device), config, strict)
            walk = _Walk(pairs, config.rows_per_shard, writer, advance)
            for shard, (content, seconds) in engine.map(task, walk, str):
                writer.write_shard(shard.index, shard.ids, content)
                effort.seconds += seconds
                if not engine.in_process:
                    advance(len(shard.items))
        if writer.manifest.rows:
            writer.finish(walk.shards)
    effort.retried = list(dict.fromkeys(engine.retried))
    _tell(writer.manifest, effort, Path(out))
    return EmbeddingStore.open(out), effort


def _effective(total: int | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration can change a store: no batch is larger than a shard, or than the source."""
    most = config["rows_per_shard"] if total is None else min(config["rows_per_shard"], max(total, 1))
    return {**config, "batch_size": min(config["batch_size"], most)}


class _Walk:
    """The shards of a source that are not made yet; those that are must have been made from the same items."""

    def __init__(
        self,
        pairs: Pairs | Iterable[Pair],
        rows_per_shard: int,
        writer: StoreWriter,
        advance: Callable[[int], None],
    ) -> None:
        self._items: Iterator[Pair | Skipped] = pairs.scan() if isinstance(pairs, Pairs) else iter(pairs)
        self._rows_per_shard, self._writer, self._advance = rows_per_shard, writer, advance
        self.shards = 0

    def __iter__(self) -> Iterator[Shard]:
        earlier = len(self._writer.manifest.shards)
        while items := list(islice(self._items, self._rows_per_shard)):
            shard = Shard(self.shards, items)
            self.shards += 1
            if shard.index < earlier:
                self._writer.check_items(shard.index, shard.ids)
                if self._writer.has_shard(shard.index):
                    self._advance(len(items))
                    continue
            yield shard


def _tell(manifest: Manifest, effort: Effort, out: Path) -> None:
    """Say what was skipped, waited for and begun again."""
    skipped = manifest.skipped
    if not manifest.rows:
        because = f", the first because: {skipped[0]['id']}: {skipped[0]['reason']}" if skipped else ""
        items = "1 item" if len(skipped) == 1 else f"{len(skipped)} items"
        raise ModalensError(f"The source gave no pair to embed ({items} skipped{because}).")
    if skipped:
        said = (
            "1 item was skipped; it is"
            if len(skipped) == 1
            else f"{len(skipped)} items were skipped; they are"
        )
        logger.warning("%s listed in %s", said, out / "manifest.json")
    waiting = effort.seconds.share_waiting
    if waiting is not None:
        logger.info("The image tower spent %.1f %% of its time waiting for images", 100 * waiting)
    if effort.retried:
        logger.warning("Begun again because a worker died: %s", ", ".join(effort.retried))
