"""Pieces of what manifests record about a model."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from modalens.hashing import sha256_of


def versions(*packages: str) -> dict[str, str]:
    """Version of each installed package."""
    return {package: version(package) for package in packages}


def files_sha256(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file by its name, in the order of the names."""
    return {path.name: sha256_of(path) for path in sorted(paths)}


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over named tensors: names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().float().contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
