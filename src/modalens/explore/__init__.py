"""The explorer: a page on a run's features and pairs, served on this machine alone."""

from modalens.explore.config import ExploreConfig
from modalens.explore.server import serve

__all__ = ["ExploreConfig", "serve"]
