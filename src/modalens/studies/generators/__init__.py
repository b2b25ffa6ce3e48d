"""Pictures from embeddings: the generator that comes with modalens, and one that retrieves."""

from modalens.studies.generators.base import Generator
from modalens.studies.generators.embedded import EmbeddedGenerator
from modalens.studies.generators.retrieval import RetrievalGenerator

__all__ = ["EmbeddedGenerator", "Generator", "RetrievalGenerator"]
