"""Studies: one module each, from embeddings or codes to tables that stand beside their controls."""

from modalens.studies.result import StudyResult

__all__ = ["StudyResult"]
