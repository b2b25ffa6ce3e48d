"""Files behind any URL that fsspec knows, read in spite of short failures."""

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from PIL import Image

from modalens.errors import InputError, MissingPackageError, ModalensError
from modalens.pairs.images import decode_rgb
from modalens.redaction import public_url, redacted

logger = logging.getLogger(__name__)

# Seconds before each new try; a failure that outlives them all is given up.
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)
# What no new try can mend; of HTTP's statuses 400 to 499, all but these.
_HOPELESS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_PASSING_STATUS = (408, 425, 429)
_MISSING_STATUS = (404, 410)
# A protocol, or several that fsspec puts one on another (simplecache::s3://).
_PROTOCOL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.:-]*://")
_PIECE = 2**20
MAX_BYTES = 2**28
"""Largest file that is fetched into memory, in bytes."""
MAX_SECONDS = 120.0
"""How long such a file may take, new tries included."""
_T = TypeVar("_T")


def is_url(location: str) -> bool:
    """Whether a location is a URL and no path on this machine."""
    return _PROTOCOL.match(location) is not None


def match_urls(pattern: str) -> list[str]:
    """URLs that a pattern with ``*`` stands for, sorted; a URL without one is taken as it is.

    Raises
    ------
    ModalensError
        If the protocol is unknown, needs a package that is missing, or cannot be listed.
    """
    system, path = _filesystem(pattern)
    if "*" not in path:
        return [pattern]
    found = _patiently(lambda: system.glob(path), pattern)
    return sorted(system.unstrip_protocol(name) for name in found)


def require_remote(url: str) -> None:
    """Make sure that a file is there, without reading it.

    Raises
    ------
    ModalensError
        If it is missing, or stays out of reach.
    """
    system, path = _filesystem(url)
    _patiently(lambda: system.info(path), url)


class RemoteFile:
    """A file behind a URL, read from its start to its end.

    A read that fails is tried again after 0.5, 1, 2, 4 and 8 seconds, from the byte where it stopped; a file
    that ends before its size is one that failed.

    Parameters
    ----------
    url
        Where it lies: ``s3://``, ``https://``, ``memory://``, ... Credentials come from fsspec's own settings.
    on_retry
        Called before each new try.

    Raises
    ------
    ModalensError
        If the protocol is unknown or needs a package that is missing; from :meth:`read`, if the file is
        missing, changes while it is read, or stays out of reach.
    """

    def __init__(self, url: str, on_retry: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self._system, self._path = _filesystem(url)
        self._on_retry = on_retry
        self._file: Any = None
        self._position = 0
        self._size: int | None = None
        self._deadline = math.inf

    def __enter__(self) -> "RemoteFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes from where the last read stopped; none at the end."""
        data = _patiently(lambda: self._try(size), self.url, self._on_retry, self._deadline)
        self._position += len(data)
        return data

    def read_all(self) -> bytes:
        """Everything that is left.

        Raises
        ------
        ModalensError
            As :meth:`read`, or if it is larger than 2**28 bytes or takes longer than two minutes.
        """
        self._deadline = time.monotonic() + MAX_SECONDS
        data = bytearray()
        while piece := self.read(_PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise InputError(f"{public_url(self.url)} is too large: more than {MAX_BYTES:,} bytes.")
            if time.monotonic() > self._deadline:
                raise InputError(
                    f"{public_url(self.url)} is sent too slowly: it takes over {MAX_SECONDS:g} s."
                )
        return bytes(data)

    def _try(self, size: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._open()
            data: bytes = self._file.read(size)
            if size and not data and self._size is not None and self._position < self._size:
                raise OSError(f"it ends at byte {self._position} of {self._size}")
        except BaseException:
            self.close()
            raise
        return data

    def _open(self) -> Any:
        """Open the file where reading stopped."""
        file = self._system.open(self._path, "rb")
        size = getattr(file, "size", None)
        if self._position and size != self._size:
            raise InputError(f"{public_url(self.url)} has changed while it was read; run again.")
        self._size = size
        try:
            file.seek(self._position)
        except ValueError:  # some servers only give a file from its start
            left = self._position
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
        return file


@dataclass(frozen=True)
class RemoteImage:
    """An image behind a URL.

    Parameters
    ----------
    url
        Where it lies.
    key
        Name of the image, stable across runs.
    """

    url: str
    key: str

    def load(self) -> Image.Image:
        """Fetch and decode to RGB, upright, transparency over white.

        Raises
        ------
        ModalensError
            If it is missing, out of reach, truncated, too large or no image.
        """
        with RemoteFile(self.url) as file:
            data = file.read_all()
        return decode_rgb(lambda: BytesIO(data), self.key)


def _filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system that a URL is on, and the path there."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise MissingPackageError(
            f"{public_url(url)} cannot be read without a package that is missing ({_reason(error, url)}); install it "
            "with pip."
        ) from error
    except Exception as error:  # each file system checks its settings in its own way
        raise InputError(f"{public_url(url)} cannot be read ({_reason(error, url)}).") from error
    return system, path


def _patiently(
    action: Callable[[], _T],
    url: str,
    on_retry: Callable[[], None] = lambda: None,
    deadline: float = math.inf,
) -> _T:
    """Do something with a remote file, again and again if it fails in a way that may pass, until the deadline."""
    delays = iter(DELAYS)
    while True:
        try:
            return action()
        except ModalensError:
            raise
        except Exception as error:  # every file system has its own kinds
            cause = _cause(error, url)
            if isinstance(cause, FileNotFoundError) or _status(cause) in _MISSING_STATUS:
                raise InputError(f"There is no file {public_url(url)}.") from error
            if _is_hopeless(cause):
                raise InputError(f"{public_url(url)} cannot be read ({_reason(cause, url)}).") from error
            if time.monotonic() > deadline:
                raise InputError(
                    f"{public_url(url)} could not be read in {MAX_SECONDS:g} s ({_reason(cause, url)})."
                ) from error
            delay = next(delays, None)
            if delay is None:
                raise InputError(
                    f"{public_url(url)} could not be read in {len(DELAYS) + 1} tries ({_reason(cause, url)}); "
                    "run again when it is in reach."
                ) from error
            logger.warning("%s: %s; trying again in %g s", public_url(url), _reason(cause, url), delay)
        on_retry()
        time.sleep(delay)


def _cause(error: BaseException, url: str) -> BaseException:
    """What an error came from: of a web server that cannot be reached, too, fsspec says there is no file."""
    if urlsplit(url).scheme in ("http", "https"):
        while error.__cause__ is not None:
            error = error.__cause__
    return error


def _is_hopeless(error: BaseException) -> bool:
    refused = 400 <= _status(error) < 500 and _status(error) not in _PASSING_STATUS
    return refused or isinstance(error, _HOPELESS)


def _status(error: BaseException) -> int:
    """HTTP's status of an error, 0 if it has none."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else 0


def _reason(error: BaseException, url: str) -> str:
    text = redacted(" ".join(str(error).split()).rstrip(".").replace(url, public_url(url)))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
