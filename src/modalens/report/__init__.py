"""Figures and the HTML report: files for people."""

from modalens.report.data import EncoderResult, ReportData, Sample
from modalens.report.html import write_report

__all__ = ["EncoderResult", "ReportData", "Sample", "write_report"]
