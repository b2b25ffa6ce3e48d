"""Figures and the HTML report: files for people."""

from modalens.report.data import (
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
    "EncoderResult",
    "InterpretedResult",
    "Judge",
    "LearnedResult",
    "ReportData",
    "Sample",
    "StudyOf",
    "write_report",
]
