"""Embeddings and codes on disk."""

from modalens.store.base import PairStore
from modalens.store.codes import CodeStore
from modalens.store.embeddings import EmbeddingStore
from modalens.store.joined import JoinedStore
from modalens.store.writer import ShardContent, StoreWriter

__all__ = ["CodeStore", "EmbeddingStore", "JoinedStore", "PairStore", "ShardContent", "StoreWriter"]
