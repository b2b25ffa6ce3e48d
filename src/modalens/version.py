"""The version, apart from everything else so that any module can read it without importing the package's face."""

__version__ = "0.3.0"
