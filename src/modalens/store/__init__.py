"""Embeddings and codes on disk."""

from modalens.store.embeddings import EmbeddingStore
from modalens.store.writer import ShardContent, StoreWriter

__all__ = ["EmbeddingStore", "ShardContent", "StoreWriter"]
