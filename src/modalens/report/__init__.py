"""Figures and the HTML report: files for people."""

from modalens.report.data import EncoderResult, LearnedResult, ReportData, Sample
from modalens.report.html import write_report

__all__ = ["EncoderResult", "LearnedResult", "ReportData", "Sample", "write_report"]
