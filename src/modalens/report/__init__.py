"""Figures and the HTML report: files for people."""

from modalens.report.data import (
    DictionaryBaseline,
    EncoderResult,
    InterpretedResult,
    Judge,
    LearnedResult,
    ReportData,
    Sample,
    StudyOf,
)
from modalens.report.html import write_report

__all__ = [
    "DictionaryBaseline",
    "EncoderResult",
    "InterpretedResult",
    "Judge",
    "LearnedResult",
    "ReportData",
    "Sample",
    "StudyOf",
    "write_report",
]
