"""Which files a store has, in the order of its rows."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from modalens.errors import StoreError
from modalens.store.manifest import Manifest

METADATA_FOLDER = "metadata"
IMAGE_FOLDER, TEXT_FOLDER = "img_emb", "text_emb"
_SUFFIXES = {IMAGE_FOLDER: ".npy", TEXT_FOLDER: ".npy", METADATA_FOLDER: ".parquet"}


def shard_file(folder: str, index: int, suffix: str) -> str:
    """Name of a shard's file inside a store, e.g. ``img_emb/img_emb_0003.npy``."""
    return f"{folder}/{folder}_{index:04d}{suffix}"


def manifest_files(folder: Path, name: str, manifest: Manifest) -> list[Path]:
    """The files of one column in row order, as the manifest lists them.

    Raises
    ------
    StoreError
        If it does not list one for each shard with pairs.
    """
    shards = [shard for shard in manifest.shards if shard.rows]
    found = [[file for file in shard.files if file.startswith(f"{name}/")] for shard in shards]
    if any(len(files) != 1 for files in found):
        raise StoreError(
            f"The manifest of {folder} is damaged: it does not list one file of {name} for each shard; bring it "
            "back, or make the store again."
        )
    return [folder / file for (file,) in found]


def found_files(folder: Path) -> Mapping[str, Sequence[Path]]:
    """The files of images, texts and metadata that lie in a store without a manifest, by folder, in row order.

    The number in a file's name says to which shard it belongs; a store may have no metadata at all.

    Raises
    ------
    StoreError
        If a side is missing, a number comes twice, one between the first and the last is missing, or a file has no
        partner of its number.
    """
    numbered = {name: _numbered(folder, name, suffix) for name, suffix in _SUFFIXES.items()}
    for name in (IMAGE_FOLDER, TEXT_FOLDER):
        if not numbered[name]:
            raise StoreError(f"{folder} is no store of pairs: it has no {name}/{name}_0000.npy.")
    present = [name for name in numbered if numbered[name]]
    everywhere = {number for name in present for number in numbered[name]}
    for number in range(min(everywhere), max(everywhere) + 1):
        missing = [name for name in present if number not in numbered[name]]
        if missing:
            files = " and ".join(f"{name}/{name}_{number}{_SUFFIXES[name]}" for name in missing)
            partner = next(
                (str(numbered[name][number]) for name in present if number in numbered[name]), None
            )
            beside = f"{partner} has no partner" if partner else f"shard {number} is missing"
            raise StoreError(
                f"The shards of {folder} do not belong together: {beside}, since there is no {files}; "
                "bring it back, or remove the shard from every folder and number the rest without a gap."
            )
    return {name: [of[number] for number in sorted(of)] for name, of in numbered.items()}


def _numbered(folder: Path, name: str, suffix: str) -> dict[int, Path]:
    """Files of one folder by the number in their names."""
    found = defaultdict(list)
    for path in sorted((folder / name).glob(f"{name}_*{suffix}")):
        match = re.fullmatch(rf"{name}_([0-9]{{1,18}})", path.stem)
        if match:
            found[int(match[1])].append(path)
    for number, paths in found.items():
        if len(paths) > 1:
            raise StoreError(f"{paths[0]} and {paths[1]} are both shard {number}; remove one of them.")
    return {number: paths[0] for number, paths in found.items()}
