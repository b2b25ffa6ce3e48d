"""How a job over many shards runs."""

from modalens.engine.embed import embed

__all__ = ["embed"]
