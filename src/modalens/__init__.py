"""Placeholder while the environment is built."""

__version__ = "0.1.0"
