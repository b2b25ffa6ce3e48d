"""Answers over HTTP: JSON, files of the page, previews; what goes wrong is a sentence with a status."""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modalens.errors import BusyError, ModalensError, system_sentence
from modalens.explore.opened import ChangedError
from modalens.explore.own import MOST_BYTES
from modalens.files import NotPlainError, parse_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

_STATIC = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}
_MOST_JSON = 2**17
Handler = Callable[["Request"], Any]


class TooLargeError(ModalensError):
    """More bytes than are read."""


def response(data: bytes, mime: str, status: int = 200, **headers: str) -> "Response":
    """An answer of some bytes."""
    from starlette.responses import Response

    return Response(data, status, {name.replace("_", "-"): value for name, value in headers.items()}, mime)


def as_json(values: Any, status: int = 200) -> "Response":
    """An answer of plain values."""
    return response(_encoded(values), "application/json", status)


def fixed(data: bytes, kind: str) -> Handler:
    """A file of the page."""

    async def answer(request: "Request") -> "Response":
        del request
        return response(data, _STATIC[kind])

    return answer


async def nowhere(request: "Request", error: Exception) -> "Response":
    """What is said of an address that nothing answers."""
    del request, error
    return as_json(
        {"error": "There is nothing at this address; a feature and a pair go by their numbers."}, 404
    )


def answering(handler: Handler) -> Handler:
    """What only reads."""

    async def answer(request: "Request") -> "Response":
        return await _answered(lambda: handler(request))

    return answer


def writing(handler: Callable[["Request", Any], Any]) -> Handler:
    """What takes a JSON object."""

    async def answer(request: "Request") -> "Response":
        try:
            body = parse_json(await _body(request, _MOST_JSON) or b"{}")
        except TooLargeError as error:
            return as_json({"error": str(error)}, 413)
        except NotPlainError:
            body = None
        if not isinstance(body, dict):
            return as_json({"error": "The request is no JSON object."}, 400)
        return await _answered(lambda: handler(request, body))

    return answer


def uploading(handler: Callable[["Request", bytes], Any]) -> Handler:
    """What takes the bytes of a file."""

    async def answer(request: "Request") -> "Response":
        try:
            data = await _body(request, MOST_BYTES)
        except TooLargeError as error:
            return as_json({"error": str(error)}, 413)
        return await _answered(lambda: handler(request, data))

    return answer


async def _body(request: "Request", most: int) -> bytes:
    """The body, which is not read any further once it is too long."""
    said = request.headers.get("content-length", "0")
    sentence = f"The request is too large; at most {most:,} bytes are taken."
    if not said.isdecimal() or len(said) > 12 or int(said) > most:
        raise TooLargeError(sentence)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLargeError(sentence)
        parts.append(part)
    return b"".join(parts)


async def _answered(work: Callable[[], Any]) -> "Response":
    """The answer as JSON; what goes wrong as a sentence."""
    try:
        return response(await asyncio.to_thread(lambda: _encoded(work())), "application/json")
    except ChangedError as error:
        return as_json({"error": str(error), "changed": True}, 409)
    except BusyError as error:
        return as_json({"error": str(error)}, 423)
    except ModalensError as error:
        return as_json({"error": str(error)}, 400)
    except Exception as error:
        logger.warning("An answer failed.", exc_info=error)
        said = system_sentence(error) if isinstance(error, OSError | MemoryError | RuntimeError) else None
        return as_json({"error": said or f"This failed ({type(error).__name__}); the log says more."}, 500)


def _encoded(values: Any) -> bytes:
    return json.dumps(_plain(values), allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """A value as JSON has it; NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return [item if math.isfinite(item) else None for item in value.tolist()]
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
