"""A run folder, and the steps on it: embed, encode, score, learn, interpret, study, report."""

from modalens.runs.embedding import embed
from modalens.runs.encoding import encode_store
from modalens.runs.scoring import ScoreConfig, Scores, score, score_store
from modalens.store.npy import load_stacked

__all__ = ["ScoreConfig", "Scores", "embed", "encode_store", "load_stacked", "score", "score_store"]
