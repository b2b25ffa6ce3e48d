"""What tests ask of a small run that was interpreted."""

from pathlib import Path

from modalens.runs.layout import RunFolder
from modalens.runs.representations import Representation, representations
from tests.small_run import COLOURS, Embedder

HELD_OUT = [number for number in range(COLOURS) if number % 3 != 1]


def seen(models: list[Embedder], modality: str) -> int:
    return sum(len(model.seen) for model in models if model.modality == modality)


def written(run: RunFolder) -> dict[Path, int]:
    """When each file of an interpretation was written, by its place in the run."""
    files = (path for folder in run.folder.rglob("interpret") for path in folder.iterdir())
    return {path.relative_to(run.folder): path.stat().st_mtime_ns for path in files}


def own(run: RunFolder, name: str) -> Representation:
    return next(each for each in representations(run) if each.name == name)
