"""How a job over many shards runs."""

from modalens.engine.embedding import embed
from modalens.engine.encoding import encode_store
from modalens.engine.scoring import ScoreConfig, Scores, load_stacked, score, score_store

__all__ = ["ScoreConfig", "Scores", "embed", "encode_store", "load_stacked", "score", "score_store"]
