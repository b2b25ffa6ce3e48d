"""A deadline and a budget of bytes for the whole reply of a server, which HTTP clients do not have."""

import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

MAX_REPLY_BYTES = 2**23
"""Bytes of the largest reply that is read; answers are a few hundred."""


class ReplyError(Exception):
    """Why a reply is not read to its end, as a part of a sentence."""


def bound_reply(response: Any, seconds: float) -> None:
    """Let a response of httpx (or of its successor) be read so long and so far only.

    Parameters
    ----------
    response
        One whose headers have come and whose body has not been read; its stream is replaced.
    seconds
        From now to the end of the body.

    Raises
    ------
    ReplyError
        If the body is compressed, though that was not asked for; while it is read, if it is too large or too slow.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ReplyError("a compressed reply that was not asked for")
    library = import_module(type(response).__module__.partition(".")[0])
    stream, until = response.stream, time.monotonic() + seconds

    class Bounded(library.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for part in stream:
                size += len(part)
                if size > MAX_REPLY_BYTES:
                    raise ReplyError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
                if time.monotonic() > until:
                    raise ReplyError(f"no whole answer within {seconds:g} s")
                yield part

        def close(self) -> None:
            stream.close()

    response.stream = Bounded()
