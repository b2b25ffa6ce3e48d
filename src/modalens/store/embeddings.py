"""Embeddings of pairs on disk, in the layout that clip-retrieval writes and reads."""

from functools import partial
from pathlib import Path

from modalens.errors import ModalensError
from modalens.store.base import PairStore, finished_manifest
from modalens.store.columns import ShardedColumn
from modalens.store.manifest import EMBEDDINGS_KIND, Manifest
from modalens.store.shards import IMAGE_FOLDER, TEXT_FOLDER


class EmbeddingStore(PairStore):
    """Paired embeddings with their ids and metadata, opened with :meth:`open`.

    Attributes
    ----------
    image, text : ShardedColumn
        Lazy matrices of shape (M, D); row i of one is the pair of row i of the other.
    manifest : Manifest or None
        What made the store; None for a store that modalens did not write.
    """

    image: ShardedColumn
    text: ShardedColumn

    def __init__(self, folder: Path, manifest: Manifest | None) -> None:
        super().__init__(folder, manifest)
        self.image, self.text = (
            ShardedColumn(self._files(name), self._check) for name in (IMAGE_FOLDER, TEXT_FOLDER)
        )
        if self.image.shape != self.text.shape:
            raise ModalensError(
                f"The store {folder} does not pair up: its images have shape {self.image.shape}, its texts "
                f"{self.text.shape}."
            )
        for number, sizes in enumerate(zip(self.image.lengths, self.text.lengths, strict=True)):
            if sizes[0] != sizes[1]:
                first, second = (self._files(name)[number] for name in (IMAGE_FOLDER, TEXT_FOLDER))
                raise ModalensError(
                    f"The store {folder} does not pair up: {first} has {sizes[0]} rows and {second} {sizes[1]}."
                )
        if manifest is not None and self.image.shape != (manifest.rows, manifest.d):
            raise ModalensError(
                f"The store {folder} is damaged: it holds {self.image.shape} values, its manifest says "
                f"{(manifest.rows, manifest.d)}."
            )
        self.image.groups_of = self.text.groups_of = partial(getattr, self, "groups")

    @classmethod
    def open(cls, folder: str | Path) -> "EmbeddingStore":
        """Open a store that :func:`modalens.embed` or clip-retrieval wrote.

        A shard's checksum is verified when the shard is first read.

        Raises
        ------
        ModalensError
            If the folder holds no store or an unfinished one, if a shard is damaged, or if images and
            texts do not pair up.
        """
        folder = Path(folder)
        return cls(folder, finished_manifest(folder, EMBEDDINGS_KIND))
