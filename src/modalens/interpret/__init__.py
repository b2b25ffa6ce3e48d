"""What features mean: their strongest samples, how monosemantic they are, and what sets the classes apart."""

from modalens.interpret.fidelity import ClassAverage, Fidelity, ModalityFidelity, measure_fidelity
from modalens.interpret.monosemanticity import monosemanticity
from modalens.interpret.published import PUBLISHED, PUBLISHED_V1, PublishedInterpretability
from modalens.interpret.scores import METRICS, Monosemanticity
from modalens.interpret.top import TopSamples, top_samples

__all__ = [
    "METRICS",
    "PUBLISHED",
    "PUBLISHED_V1",
    "ClassAverage",
    "Fidelity",
    "ModalityFidelity",
    "Monosemanticity",
    "PublishedInterpretability",
    "TopSamples",
    "measure_fidelity",
    "monosemanticity",
    "top_samples",
]
