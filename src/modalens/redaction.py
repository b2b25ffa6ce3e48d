"""Keep secrets out of what is printed and kept: keys of the environment, passwords and queries in addresses."""

import hashlib
import logging
import os
import re
import threading
import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_URL = re.compile(r"(?<![a-z0-9+.-])[a-z0-9+.-]+://[^\s'\"<>|]+", re.IGNORECASE)
# Endings of the names of environment variables that hold secrets.
_SECRET_NAMES = ("_KEY", "APIKEY", "TOKEN", "_SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "_PASS", "_PAT")
_SHORTEST = 8  # letters of a secret; shorter values stand in innocent words too
_END = re.compile(r"[).,;:\]}]*$")
# What is a secret by its form: keys as Hugging Face, OpenAI and GitHub give them, headers, and parts of a query.
_FORMS = (
    (re.compile(r"\b(?:hf_|sk-|gh[pousr]_|github_pat_)[\w-]{20,}"), "***"),
    (re.compile(r"\b(Bearer\s+)[\w.~+/=-]{8,}"), r"\1***"),
    (
        re.compile(
            r"([?&](?:[\w.-]*(?:token|signature|secret|password|key|credential)|sig|auth)=)[^&\s'\"<>|#]+",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


def public_url(url: str) -> str:
    """A URL without user name, password and query, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets around what is no address
        return f"{url.partition('://')[0]}://***"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def public_name(url: str) -> str:
    """A URL as :func:`public_url` gives it, with a hash in the place of a query, which may tell two files apart."""
    query = url.partition("?")[2]
    mark = f"#{hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest()[:16]}" if query else ""
    return redacted(url) + mark


def has_credentials(location: str) -> bool:
    """Whether a URL in a location has a password."""
    places = [found.partition("://")[2].partition("/")[0] for found in _URL.findall(location)]
    return any(":" in place.rpartition("@")[0] for place in places)


def redacted(text: str) -> str:
    """A text without secrets.

    These are the values of environment variables whose names say so, what looks like a key, and everything of a
    URL but what :func:`public_url` gives.
    """
    for name, value in os.environ.items():
        secret = value.strip()
        if name.upper().endswith(_SECRET_NAMES) and len(secret) >= _SHORTEST:
            text = text.replace(value, "***").replace(secret, "***")
    text = _URL.sub(_public, text)
    for form, shown in _FORMS:
        text = form.sub(shown, text)
    return text


def redacted_values(values: Any) -> Any:
    """Nested values, as JSON has them, with every text :func:`redacted`."""
    if isinstance(values, Mapping):
        return {name: redacted_values(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [redacted_values(value) for value in values]
    return redacted(values) if isinstance(values, str) else values


def redacted_trace(error: BaseException) -> str:
    """The traceback of an error and of those that it came from."""
    return redacted("".join(traceback.format_exception(error)))


def redact_what_is_logged() -> None:
    """Redact what any library of this process logs or warns of from now on, and what ends a thread."""
    logging.basicConfig(format="%(message)s")  # without a handler, warnings that are captured vanish
    logging.setLogRecordFactory(_RedactedRecord)
    logging.captureWarnings(True)
    threading.excepthook = _of_thread


class _RedactedRecord(logging.LogRecord):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[1] is not None:
            self.exc_text = redacted_trace(self.exc_info[1]).rstrip("\n")  # which formatters take as it is

    def getMessage(self) -> str:  # noqa: N802 (logging's name)
        return redacted(super().getMessage())


def _of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread else "A thread"
        logging.getLogger(__name__).error("%s failed:\n%s", name, redacted_trace(failed.exc_value))


def _public(found: re.Match[str]) -> str:
    url = found[0]
    if "@" not in url and "?" not in url:
        return url
    end = _END.search(url)
    tail = end[0] if end and "?" not in url else ""
    return public_url(url.removesuffix(tail)) + tail
