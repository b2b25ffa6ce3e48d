"""What features mean: their strongest samples, how monosemantic they are, and what sets the classes apart."""

from modalens.interpret.bridge_result import VERDICTS, Bridges
from modalens.interpret.bridges import bridges
from modalens.interpret.fidelity import (
    ClassAverage,
    Fidelity,
    ModalityFidelity,
    average_of_features,
    measure_fidelity,
)
from modalens.interpret.histograms import ActivationHistograms, activation_histograms
from modalens.interpret.monosemanticity import monosemanticity
from modalens.interpret.neighbours import nearest_features
from modalens.interpret.published import PUBLISHED, PUBLISHED_V1, PublishedInterpretability
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.interpret.top import TopSamples, top_samples

__all__ = [
    "METRICS",
    "PUBLISHED",
    "PUBLISHED_V1",
    "VERDICTS",
    "ActivationHistograms",
    "Bridges",
    "ClassAverage",
    "Fidelity",
    "ModalityFidelity",
    "Monosemanticity",
    "PublishedInterpretability",
    "TopSamples",
    "activation_histograms",
    "average_of_features",
    "bridges",
    "measure_fidelity",
    "monosemanticity",
    "nearest_features",
    "top_samples",
]
