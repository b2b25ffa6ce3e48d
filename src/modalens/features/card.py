"""The model card of trained features: what they are, what they were trained on, what they reached."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modalens.features.base import FeatureModel
from modalens.features.logs import LOG_NAME
from modalens.files import read_json_lines
from modalens.store import EmbeddingStore
from modalens.version import __version__

CARD_NAME = "README.md"
_SAMPLES = {"train": "training pairs", "held_out": "held-out pairs"}
_RANKS = ("1", "5", "10")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Evaluations of a training run, oldest first; none if the folder keeps no log.

    Raises
    ------
    ModalensError
        If the log is damaged.
    """
    path = folder / LOG_NAME
    if not path.exists():
        return []
    lines = read_json_lines(path, f"The training log {path}", dict, advice="remove it to go on without")
    return [entry for _, entry in lines]


def model_card(
    model: FeatureModel,
    repo_id: str,
    log: Sequence[Mapping[str, Any]] = (),
    embeddings: EmbeddingStore | None = None,
    saelens_folder: str | None = None,
) -> str:
    """The card, in Markdown with the header that the hub reads.

    Parameters
    ----------
    model
        What is shared.
    repo_id
        Where, ``owner/name``.
    log
        Evaluations of its training, the last of which is reported.
    embeddings
        What it was trained on.
    saelens_folder
        Folder of a copy for SAELens, if there is one.
    """
    parts = [_header(model), f"# {repo_id.split('/')[-1]}", _summary(model), _usage(repo_id, saelens_folder)]
    if embeddings is not None:
        parts.append(_origin(embeddings))
    if log:
        parts.append(_reached(log[-1]))
    parts.append("## Configuration\n\n" + _table(("setting", "value"), list(asdict(model.config).items())))
    return "\n\n".join(parts) + "\n"


def _header(model: FeatureModel) -> str:
    tags = "".join(f"\n- {tag}" for tag in (model.hub_tag, "interpretability", "modality-gap"))
    return f"---\nlibrary_name: modalens\ntags:{tags}\n---"


def _summary(model: FeatureModel) -> str:
    about = (type(model).__doc__ or "").partition("\n")[0]
    c = model.config
    return (
        f"`{model!r}`: {about} {model.weights} the image and the text embeddings of width {c.d} of a "
        f"vision-language model into {c.n_features} non-negative features. Shared with "
        f"modalens {__version__}."
    )


def _usage(repo_id: str, saelens_folder: str | None) -> str:
    lines = [
        "from modalens.features.sharing import from_pretrained",
        "",
        f'features = from_pretrained("{repo_id}")',
        'codes = features.encode(embeddings, "image")  # sparse, (samples, features)',
    ]
    if saelens_folder:
        lines += [
            "",
            "from sae_lens import SAE",
            "",
            f'sae = SAE.from_pretrained("{repo_id}", "{saelens_folder}")',
        ]
    return "## Use\n\n```python\n" + "\n".join(lines) + "\n```"


def _origin(embeddings: EmbeddingStore) -> str:
    rows: list[tuple[str, Any]] = [("pairs", len(embeddings))]
    if embeddings.manifest is not None:
        for part in (embeddings.manifest.model, embeddings.manifest.source):
            rows += [(name, value) for name, value in part.items() if isinstance(value, str | int | float)]
    return "## Trained on\n\n" + _table(("", "embeddings"), rows)


def _reached(entry: Mapping[str, Any]) -> str:
    samples = {name: entry[key] for key, name in _SAMPLES.items() if key in entry}
    rows: list[tuple[Any, ...]] = []
    for label, name in (
        ("variance unexplained, images", "fvu_image"),
        ("variance unexplained, texts", "fvu_text"),
        ("active features, images", "active_image"),
        ("active features, texts", "active_text"),
        ("dead features", "dead"),
    ):
        if all(name in found for found in samples.values()):
            rows.append((label, *(found[name] for found in samples.values())))
    for label, name in (("before", "retrieval_before"), ("after", "retrieval")):
        for way, direction in (("image_to_text", "image to text"), ("text_to_image", "text to image")):
            if all(name in found for found in samples.values()):
                recalls = [_recalls(found[name][way]) for found in samples.values()]
                rows.append((f"R@{'/'.join(_RANKS)} {direction}, {label}, %", *recalls))
    return (
        f"## Reached after {entry['step']} batches, {entry['pairs_seen']} pairs\n\n"
        + _table(("", *samples), rows)
        + "\n\nVariance unexplained is 0 for a perfect reconstruction, 1 for the mean and undefined where the "
        "embeddings do not vary; compare it on the same embeddings only. Retrieval is between the embeddings "
        "(before) and between what the features make of them (after)."
    )


def _recalls(values: Mapping[str, Sequence[float]]) -> str:
    return " / ".join(f"{100 * values[rank][0]:.1f}" for rank in _RANKS)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = "undefined" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
