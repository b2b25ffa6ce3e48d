"""Measure the modality gap of vision-language models feature by feature, and steer with it.

The names below are the public face; everything else may move. They are imported when first used, so
``import modalens`` is quick and asks for no model library.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from modalens.version import __version__

# Threads of OpenMP that wait are to sleep: where others use the cores too, spinning makes a training take ten times as
# long. PyTorch reads this as it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "AlignedSAE": "modalens.features",
    "BatchTopKSAE": "modalens.features",
    "Bridges": "modalens.interpret",
    "CodeStore": "modalens.store",
    "Dominance": "modalens.dominance",
    "Edit": "modalens.edit.saved",
    "EmbeddingStore": "modalens.store",
    "GapMatrix": "modalens.dominance",
    "GroupSparseSAE": "modalens.features",
    "JoinedStore": "modalens.store",
    "MatryoshkaSAE": "modalens.features",
    "ModalensError": "modalens.errors",
    "ModalityGap": "modalens.dominance",
    "Monosemanticity": "modalens.interpret",
    "NCL": "modalens.features",
    "Pair": "modalens.pairs",
    "Retrieval": "modalens.dominance.retrieval",
    "Run": "modalens.runs.run",
    "SeparateSAE": "modalens.features",
    "SharedTopKSAE": "modalens.features",
    "SimplexDominance": "modalens.dominance",
    "TopKSAE": "modalens.features",
    "benchmark_planted": "modalens.planted.benchmark",
    "bridges": "modalens.interpret",
    "compare": "modalens.runs.comparing",
    "embed": "modalens.runs",
    "encode_store": "modalens.runs",
    "gap_matrix": "modalens.dominance",
    "load_features": "modalens.features",
    "load_pairs": "modalens.pairs",
    "load_vlm": "modalens.towers",
    "measure_retrieval": "modalens.dominance.retrieval",
    "modality_dominance": "modalens.dominance",
    "modality_gap": "modalens.dominance",
    "monosemanticity": "modalens.interpret",
    "top_samples": "modalens.interpret",
}

# Packages that are public as a whole.
_PACKAGES = ("edit", "studies")

__all__ = ["__version__", *sorted((*_HOMES, *_PACKAGES))]

if TYPE_CHECKING:
    from modalens import edit as edit
    from modalens import studies as studies
    from modalens.dominance import Dominance as Dominance
    from modalens.dominance import GapMatrix as GapMatrix
    from modalens.dominance import ModalityGap as ModalityGap
    from modalens.dominance import SimplexDominance as SimplexDominance
    from modalens.dominance import gap_matrix as gap_matrix
    from modalens.dominance import modality_dominance as modality_dominance
    from modalens.dominance import modality_gap as modality_gap
    from modalens.dominance.retrieval import Retrieval as Retrieval
    from modalens.dominance.retrieval import measure_retrieval as measure_retrieval
    from modalens.edit.saved import Edit as Edit
    from modalens.errors import ModalensError as ModalensError
    from modalens.features import NCL as NCL
    from modalens.features import AlignedSAE as AlignedSAE
    from modalens.features import BatchTopKSAE as BatchTopKSAE
    from modalens.features import GroupSparseSAE as GroupSparseSAE
    from modalens.features import MatryoshkaSAE as MatryoshkaSAE
    from modalens.features import SeparateSAE as SeparateSAE
    from modalens.features import SharedTopKSAE as SharedTopKSAE
    from modalens.features import TopKSAE as TopKSAE
    from modalens.features import load_features as load_features
    from modalens.interpret import Bridges as Bridges
    from modalens.interpret import Monosemanticity as Monosemanticity
    from modalens.interpret.bridges import bridges as bridges
    from modalens.interpret.monosemanticity import monosemanticity as monosemanticity
    from modalens.interpret.top import top_samples as top_samples
    from modalens.pairs import Pair as Pair
    from modalens.pairs import load_pairs as load_pairs
    from modalens.planted.benchmark import benchmark_planted as benchmark_planted
    from modalens.runs import embed as embed
    from modalens.runs import encode_store as encode_store
    from modalens.runs.comparing import compare as compare
    from modalens.runs.run import Run as Run
    from modalens.store import CodeStore as CodeStore
    from modalens.store import EmbeddingStore as EmbeddingStore
    from modalens.store import JoinedStore as JoinedStore
    from modalens.towers import load_vlm as load_vlm


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"modalens.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'modalens' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
