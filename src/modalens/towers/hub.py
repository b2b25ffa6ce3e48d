"""Fetch a model's files from the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path

from modalens.errors import ModalensError

# Files at the root of the repository only: many carry further copies of the weights in folders.
_DESCRIPTION = [
    "config.json",
    "*processor_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
]
_VOCABULARY = ["vocab.json", "vocab.txt", "merges.txt", "*.model"]
_SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
_PICKLED = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]


def fetch(name: str, revision: str | None, further: Sequence[str] = ()) -> Path:
    """Download what loading a model takes, or find it in the hub's cache.

    Parameters
    ----------
    name, revision
        Hub id, and branch, tag or commit.
    further
        Patterns of more files that this kind of model needs, in folders too.

    Returns
    -------
    Path
        Folder of the snapshot, named after its commit.

    Raises
    ------
    ModalensError
        If there is no such model or revision, it is gated, or the hub cannot be reached.
    """
    import huggingface_hub
    from huggingface_hub import errors

    def download(patterns: Sequence[str], left_out: Sequence[str] = ("*/*",)) -> Path:
        return Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(left_out)
            )
        )

    try:
        folder = download(_DESCRIPTION + _VOCABULARY + _SAFETENSORS)
        if not any(folder.glob("model*.safetensors")):
            folder = download(_PICKLED)
        if further:
            folder = download(further, left_out=())
    except errors.GatedRepoError as error:
        raise ModalensError(
            f"The model {name} is gated: accept its terms on https://huggingface.co/{name}, then log in with "
            "hf auth login."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModalensError(
            f"The model {name} has no revision {revision!r} on the Hugging Face hub."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModalensError(
            f"There is no folder {name} here and no public model {name} on the Hugging Face hub; check the name, "
            "or log in with hf auth login if it is private."
        ) from error
    except errors.HFValidationError as error:
        raise ModalensError(
            f"{name} is neither a folder here nor a valid id of the Hugging Face hub."
        ) from error
    except Exception as error:  # connections fail in as many ways as there are libraries below
        raise ModalensError(
            f"There is no folder {name} here and the model {name} could not be fetched from the Hugging Face hub "
            f"({type(error).__name__}); without network, name a local folder with the model, which works offline."
        ) from error
    return folder
