"""Read a model's files, and say in one sentence what is wrong with them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalens.errors import InputError, MissingPackageError, ModalensError, is_out_of_memory
from modalens.files import read_json

_MAX_LAYERS = 1000


@contextmanager
def readable(name: str, part: str, folder: Path | None = None) -> Iterator[None]:
    """Turn whatever a damaged file makes a model library raise into one sentence.

    Parameters
    ----------
    name, part
        The model, and the part of it that is being read, as the sentence calls them.
    folder
        Where its files lie: the sentence names the one that is damaged, if that can be told from the file alone.

    Raises
    ------
    ModalensError
        In place of anything raised in the block but memory that runs out.
    """
    try:
        yield
    except ModalensError:
        raise
    except ImportError as error:
        raise MissingPackageError(
            f"The {part} of {name} needs a package that is missing, install it with pip: {_one_line(error)}"
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        if folder is not None:
            _require_whole_files(folder)
        raise InputError(f"The {part} of {name} cannot be read ({_one_line(error)}).") from error


def weight_files(name: str, folder: Path) -> list[Path]:
    """Files of the weights: safetensors, or else the older format, which is read without pickled code.

    Raises
    ------
    ModalensError
        If there are none.
    """
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin is there.")


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """The config.json of a model of transformers.

    Raises
    ------
    ModalensError
        If there is none, it is damaged, or it asks for more layers than any model has.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{name} has no config.json, so it is no model of transformers.")
    config: dict[str, Any] = read_json(path, f"The file {path}", dict)
    _require_few_layers(path, config)
    return config


def load_weights(
    name: str, model_class: Any, folder: Path, *, dtype: Any, advice: str, optional: Sequence[str] = ()
) -> tuple[Any, list[str]]:
    """A model of transformers with the weights of its folder, every one of them.

    Parameters
    ----------
    name
        What sentences call the model.
    model_class
        The class of transformers, with ``from_pretrained``.
    folder
        Its files.
    dtype
        PyTorch's number type, or ``auto`` for that of the file.
    advice
        What to do where weights are missing, without a full stop.
    optional
        How the names begin of weights that may be missing.

    Returns
    -------
    model
        In the state that transformers gives it.
    missing
        Names of the optional weights that are missing, sorted; the model has random ones there.

    Raises
    ------
    ModalensError
        If files are missing or damaged, weights are missing, or their shapes are not those of config.json.
    """
    files = weight_files(name, folder)
    read_config(name, folder)
    with readable(name, "weights", folder):
        model, report = model_class.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=files[0].suffix == ".safetensors",
            weights_only=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
        )
    if unfit := sorted(report["mismatched_keys"]):
        tensor, found, wanted = unfit[0]
        raise InputError(
            f"The weights of {name} do not fit its config.json in {len(unfit)} tensors, {tensor} first: "
            f"{_shape(found)} in the file, {_shape(wanted)} by config.json; take both from one model."
        )
    missing = sorted(report["missing_keys"])
    if needed := [key for key in missing if not key.startswith(tuple(optional))]:
        raise InputError(
            f"The weights of {name} lack {len(needed)} tensors that a {type(model).__name__} has, {needed[0]} first; "
            f"{advice}."
        )
    return model, missing


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes)) or "one number"


def _require_few_layers(path: Path, config: dict[str, Any]) -> None:
    """Refuse what would take forever to build."""
    for key, value in config.items():
        if isinstance(value, dict):
            _require_few_layers(path, value)
        elif key.endswith("layers") and isinstance(value, int) and value > _MAX_LAYERS:
            raise InputError(f"The file {path} asks for {value} as {key}; at most {_MAX_LAYERS} are read.")


def _require_whole_files(folder: Path) -> None:
    """Name the file that is damaged, if there is one."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.json")):
        read_json(path, f"The file {path}", dict if path.name != "modules.json" else list)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                file.keys()
        except Exception as error:
            raise InputError(
                f"The file {path} cannot be read as safetensors ({_one_line(error)})."
            ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
