"""What the Hugging Face hub's client raises, in sentences that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from modalens.errors import InputError
from modalens.redaction import redacted


@contextmanager
def hub_sentences(
    name: str, what: str = "model", *, revision: str | None = None, writing: bool = False
) -> Iterator[None]:
    """Turn whatever the hub's client raises in the block into one sentence.

    Parameters
    ----------
    name
        ``owner/name`` on the hub.
    what
        What lies there, as sentences call it; a ``dataset`` has another address than anything else.
    revision
        Branch, tag or commit that was asked for.
    writing
        Whether something is uploaded.

    Raises
    ------
    InputError
        In place of anything raised in the block.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        address = f"https://huggingface.co/{'datasets/' if what == 'dataset' else ''}{name}"
        raise InputError(
            f"The {what} {name} is gated: accept its terms on {address}, then log in with hf auth login."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(
            f"The {what} {name} has no revision {revision!r} on the Hugging Face hub."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"There is no folder {name} here and no public {what} {name} on the Hugging Face hub; check the name, "
            "or log in with hf auth login if it is private."
        ) from error
    except errors.HFValidationError as error:
        raise InputError(
            f"{name} is neither a folder here nor a valid id of the Hugging Face hub (owner/name)."
        ) from error
    except Exception as error:  # connections fail in as many ways as there are libraries below
        response = getattr(error, "response", None)
        if isinstance(error, errors.HfHubHTTPError) and response is not None:
            refused = response.status_code in (401, 403)
            token = "a token that may write" if writing else "a token that may read it"
            advice = f"log in with hf auth login and {token}" if refused else "try again later"
            said = redacted(str(error).partition("\n")[0])
            raise InputError(f"The Hugging Face hub refused {name} ({said}); {advice}.") from error
        if writing:
            raise InputError(
                f"The Hugging Face hub could not be reached for {name} ({type(error).__name__}); check the network."
            ) from error
        raise InputError(
            f"There is no folder {name} here and the {what} {name} could not be fetched from the Hugging Face hub "
            f"({type(error).__name__}); without network, name a local folder with it, which works offline, or a "
            "packaged model: demo as model, minilm and efficientnet-lite0 as embedders."
        ) from error
