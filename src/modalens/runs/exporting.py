"""Write a run for other tools: tables, Embedding Atlas, Neuronpedia and SAELens."""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import iter_blocks, normalize_rows, read_rows
from modalens.errors import InputError
from modalens.options import Options, option
from modalens.pairs.modality import IMAGE
from modalens.runs.export_files import put_files
from modalens.runs.galleries import previews_of
from modalens.runs.interpretation import SIDES, Interpretation
from modalens.runs.interpreting import load_interpretation
from modalens.runs.naming import load_names
from modalens.runs.representations import Representation
from modalens.store.atomic import whole_file, write_text

ATLAS, NEURONPEDIA, CSV, PARQUET, SAELENS = "embedding-atlas", "neuronpedia", "csv", "parquet", "saelens"
TARGETS = (ATLAS, NEURONPEDIA, CSV, PARQUET, SAELENS)
# Neuronpedia's exports hold so many features a file.
_BATCH = 1024
# Whom its rows belong to: DEFAULT_CREATOR_USER_ID of an instance that sets none. A row without an owner is refused.
_OWNER = "clkht01d40000jv08hvalcvly"
_NO_ID = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True)
class ExportConfig(Options):
    """What is written.

    Attributes
    ----------
    max_pairs
        Of more scored pairs so many are drawn.
    pictures
        Whether a file for Embedding Atlas holds small pictures.
    seed
        Of the drawn pairs.
    """

    max_pairs: int = option(20_000, "Most pairs to write; of more, so many are drawn.", unit="pairs", least=2)
    pictures: bool = option(True, "Put small pictures into a file for Embedding Atlas.")
    seed: int = option(0, "Seed of the drawn pairs.", least=0)


def export(
    each: Representation, to: str, out: str | Path, config: ExportConfig | None = None, **options: Any
) -> list[Path]:
    """Write one representation of a run in the format of another tool.

    Parameters
    ----------
    each
        The representation, such as one of :attr:`modalens.Run.representations`.
    to
        ``embedding-atlas``: ``pairs.parquet`` with text, picture and a projection (first two principal components of
        the pairs). ``neuronpedia``: gzipped JSON lines of features, activations and explanations, in the columns of its
        exports. ``csv`` and ``parquet``: tables of features and of pairs. ``saelens``: the autoencoder.
    out
        Folder to write to.
    config, options
        An :class:`ExportConfig`, and fields of it by name.

    Returns
    -------
    list of Path
        The files. Those that an earlier export wrote there are replaced, once all are made.

    Raises
    ------
    ModalensError
        If there is no such format, the representation lacks what it needs, the folder is a part of the run, another
        process exports to it, or a file is there that no export wrote.
    """
    config = ExportConfig.of(config, options, "An export")
    writers: Mapping[str, Callable[[Representation, Path, ExportConfig], Iterator[Path]]] = {
        ATLAS: _atlas,
        NEURONPEDIA: _neuronpedia,
        CSV: _csv,
        PARQUET: _parquet,
        SAELENS: _saelens,
    }
    if to not in writers:
        raise InputError(f"There is no export to {to!r}; there are {', '.join(TARGETS)}.")
    return put_files(Path(out), each.run, lambda made: writers[to](each, made, config))


def feature_table(each: Representation) -> pd.DataFrame:
    """One row a feature: score, class, and what interpretation and naming found, where there is any."""
    frame, found, names = each.mds.to_frame(), load_interpretation(each), load_names(each)
    if found is not None:
        for side, modality in zip(SIDES, each.mds.modalities, strict=True):
            frame[f"mono_{modality}"] = found.mono[side].mono
            frame[f"mono_chance_{modality}"] = found.mono[side].chance["mono"]
        frame["verdict"] = found.bridges.verdict
        frame["partner"] = found.bridges.partner
    if names is not None:
        frame["name"] = names.standing()
    return frame


def pair_table(each: Representation, config: ExportConfig) -> pd.DataFrame:
    """One row a pair with its metadata, projection and strongest features.

    A metadata column of a name that is taken is called ``metadata_`` and that name.
    """
    rows = each.rows
    if len(rows) > config.max_pairs:
        drawn = np.random.default_rng(config.seed).choice(len(rows), config.max_pairs, replace=False)
        rows = rows[np.sort(drawn)]
    embedded = each.store if each.embeddings is None else each.embeddings
    sides = [
        normalize_rows(np.asarray(_dense(read_rows(matrix.pick(rows), 0, len(rows), "embedding"))))[0]
        for matrix in (embedded.image, embedded.text)
    ]
    x, y = _projection(sides).T
    first, second = each.mds.modalities
    metadata = embedded.metadata.iloc[rows].reset_index(drop=True)
    frame = pd.DataFrame({"id": [str(name) for name in embedded.ids[rows]]})
    frame["text"] = metadata["caption"].fillna("").astype(str) if "caption" in metadata else ""
    frame["x"], frame["y"] = x, y
    frame["cosine"] = (sides[0] * sides[1]).sum(axis=1)
    for name, matrix in ((first, each.store.image), (second, each.store.text)):
        strongest = _strongest(matrix.pick(rows))
        frame[f"strongest_{name}_feature"] = strongest
        frame[f"strongest_{name}_class"] = each.mds.labels[strongest]
    for name in metadata.columns.difference(["id", "caption"], sort=False):
        kept, called = metadata[name], str(name)
        while called in frame or called == IMAGE.name:  # which a file for Embedding Atlas has for pictures
            called = f"metadata_{called}"
        frame[called] = kept.astype(str).where(kept.notna(), None) if kept.dtype == object else kept
    return frame


def _projection(sides: list[np.ndarray]) -> np.ndarray:
    """First two principal components of the pairs' mean unit embeddings, each side without its mean, (n, 2)."""
    mean = sum(side - side.mean(axis=0) for side in sides) / len(sides)
    _, axes = np.linalg.eigh(mean.T @ mean)
    flat = mean @ axes[:, ::-1][:, :2]
    return flat if flat.shape[1] == 2 else np.hstack([flat, np.zeros_like(flat)])


def _strongest(matrix: Any) -> Int[np.ndarray, " n"]:
    """The feature of largest size of each sample."""
    parts = [np.abs(_dense(block)).argmax(axis=1) for _, block in iter_blocks(matrix)]
    return np.concatenate(parts)


def _dense(block: Any) -> np.ndarray:
    found: np.ndarray = block.toarray() if hasattr(block, "toarray") else block
    return found


def _atlas(each: Representation, out: Path, config: ExportConfig) -> Iterator[Path]:
    frame = pair_table(each, config)
    if config.pictures and each.mds.modalities[0] == IMAGE.name:
        found = previews_of(each.store, [*frame["id"]])
        if found:
            held = [{"bytes": found[name], "path": None} if name in found else None for name in frame["id"]]
            frame["image"] = pd.Series(held, dtype=object)
    yield _to_parquet(frame, out / "pairs.parquet")


def _csv(each: Representation, out: Path, config: ExportConfig) -> Iterator[Path]:
    for name, frame in (("features", feature_table(each)), ("pairs", pair_table(each, config))):
        write_text(out / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        yield out / f"{name}.csv"


def _parquet(each: Representation, out: Path, config: ExportConfig) -> Iterator[Path]:
    yield _to_parquet(feature_table(each), out / "features.parquet")
    yield _to_parquet(pair_table(each, config), out / "pairs.parquet")


def _to_parquet(frame: pd.DataFrame, path: Path) -> Path:
    with whole_file(path) as partial:
        frame.to_parquet(partial, index=False)
    return path


def _saelens(each: Representation, out: Path, config: ExportConfig) -> Iterator[Path]:
    from modalens.features.sae import SparseAutoencoder
    from modalens.features.saelens import CONFIG_NAME, WEIGHTS_NAME, save_saelens

    del config
    model = None if each.learned is None else each.learned.model
    if not isinstance(model, SparseAutoencoder):
        raise InputError(
            f"{each.name} is no sparse autoencoder, which SAELens keeps alone; choose one with --features."
        )
    sides = SIDES if model.config.standardise == "per_modality" else (None,)
    for side in sides:
        folder = save_saelens(model, out if side is None else out / side, side)
        yield from (folder / CONFIG_NAME, folder / WEIGHTS_NAME)


def _neuronpedia(each: Representation, out: Path, config: ExportConfig) -> Iterator[Path]:
    del config
    found = load_interpretation(each)
    if found is None:
        raise InputError(f"{each.name} was not interpreted; run modalens interpret {each.run.folder} first.")
    frame = feature_table(each)
    where = {"modelId": _model_id(each.run.folder), "layer": each.name}
    live, texts = np.flatnonzero(each.mds.labels != "dead"), _captions(each)
    kinds: Mapping[str, Callable[[int], list[dict[str, Any]]]] = {
        "features": lambda feature: [_np_feature(each, found, where, feature)],
        "activations": lambda feature: _np_activations(each, found, texts, where, feature),
        "explanations": lambda feature: _np_explanations(frame, where, feature),
    }
    folder = out / where["modelId"] / where["layer"]
    for kind, rows_of in kinds.items():
        for batch, start in enumerate(range(0, len(live), _BATCH)):
            rows = [row for feature in live[start : start + _BATCH].tolist() for row in rows_of(feature)]
            if not rows:
                continue
            path = folder / kind / f"batch-{batch}.jsonl.gz"
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
            with whole_file(path) as partial:
                partial.write_bytes(gzip.compress(text.encode("utf-8", "replace"), mtime=0))
            yield path


def _model_id(run: Path) -> str:
    """The name of a run's folder in the letters that ids of its models have."""
    return _NO_ID.sub("-", run.resolve().name.lower())[:128].strip("-") or "run"


def _np_feature(
    each: Representation, found: Interpretation, where: Mapping[str, str], feature: int
) -> dict[str, Any]:
    """A row of their table Neuron."""
    values = np.concatenate([found.top[side].values[feature] for side in SIDES])
    counts = found.histograms.image[feature] + found.histograms.text[feature]
    edges = found.histograms.edges[feature]
    known = bool(np.isfinite(edges).all())
    samples = sum(len(found.ids[side]) for side in SIDES)
    near, cosines = (part[feature] for part in found.neighbours)
    there = near >= 0
    vector = None if each.directions is None else np.asarray(each.directions[feature], dtype=float).tolist()
    return {
        **where,
        "index": str(feature),
        "creatorId": _OWNER,
        "sourceSetName": each.name,
        "maxActApprox": float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0,
        "frac_nonzero": float(sum(found.top[side].fired[feature] for side in SIDES) / max(samples, 1)),
        "freq_hist_data_bar_heights": counts.tolist() if known else [],
        "freq_hist_data_bar_values": ((edges[:-1] + edges[1:]) / 2).tolist() if known else [],
        "logits_hist_data_bar_heights": [],
        "logits_hist_data_bar_values": [],
        "pos_str": [],
        "pos_values": [],
        "neg_str": [],
        "neg_values": [],
        "topkCosSimIndices": near[there].tolist(),
        "topkCosSimValues": cosines[there].tolist(),
        "vector": vector or [],
        "hasVector": vector is not None,
    }


def _np_activations(
    each: Representation,
    found: Interpretation,
    texts: Mapping[str, str],
    where: Mapping[str, str],
    feature: int,
) -> list[dict[str, Any]]:
    """Rows of their table Activation: a whole caption, or the id of the other side's sample, is one token."""
    rows = []
    for side, modality in zip(SIDES, each.mds.modalities, strict=True):
        top = found.top[side]
        for rank, (place, value) in enumerate(
            zip(top.rows[feature].tolist(), top.values[feature].tolist(), strict=True)
        ):
            if place < 0:
                continue
            name = str(found.ids[side][place])
            token = texts.get(name, name) if side == "text" else name
            rows.append(
                {
                    "id": f"{where['modelId']}-{where['layer']}-{feature}-{modality}-{rank}",
                    **where,
                    "index": str(feature),
                    "creatorId": _OWNER,
                    "dataSource": modality,
                    "tokens": [token],
                    "values": [value],
                    "maxValue": value,
                    "minValue": value,
                    "maxValueTokenIndex": 0,
                }
            )
    return rows


def _np_explanations(frame: pd.DataFrame, where: Mapping[str, str], feature: int) -> list[dict[str, Any]]:
    """Rows of their table Explanation: names that stand."""
    name = frame["name"].iloc[feature] if "name" in frame else ""
    if not name:
        return []
    return [
        {
            "id": f"{where['modelId']}-{where['layer']}-{feature}",
            **where,
            "index": str(feature),
            "authorId": _OWNER,
            "description": str(name),
            "typeName": None,
            "explanationModelName": None,
        }
    ]


def _captions(each: Representation) -> dict[str, str]:
    store = each.store if each.embeddings is None else each.embeddings
    if "caption" not in store.columns:
        return {}
    captions = store.read_metadata(["caption"])["caption"]
    return {
        str(name): caption
        for name, caption in zip(store.ids, captions, strict=True)
        if isinstance(caption, str)
    }
