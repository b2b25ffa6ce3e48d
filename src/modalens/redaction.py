"""Keep secrets out of what is printed and kept: keys of the environment, passwords and queries in addresses."""

import logging
import os
import re
from urllib.parse import urlsplit

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>|]+", re.IGNORECASE)
_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET", "PASSWORD", "_PAT")
_SHORTEST = 8  # letters of a secret; shorter values stand in innocent words too
_END = re.compile(r"[).,;:\]}]*$")


def public_url(url: str) -> str:
    """A URL without user name, password and query, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets around what is no address
        return f"{url.partition('://')[0]}://***"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def has_credentials(location: str) -> bool:
    """Whether a URL in a location has a password."""
    places = [found.partition("://")[2].partition("/")[0] for found in _URL.findall(location)]
    return any(":" in place.rpartition("@")[0] for place in places)


def redacted(text: str) -> str:
    """A text without the keys that the environment holds, and with URLs as :func:`public_url` gives them."""
    for name, value in os.environ.items():
        secret = value.strip()
        if name.upper().endswith(_SECRET_NAMES) and len(secret) >= _SHORTEST:
            text = text.replace(value, "***").replace(secret, "***")
    return _URL.sub(_public, text)


class RedactingFilter(logging.Filter):
    """Redact what is logged, the values put into messages included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; keep all."""
        record.msg, record.args = redacted(record.getMessage()), None
        return True


def _public(found: re.Match[str]) -> str:
    url = found[0]
    if "@" not in url and "?" not in url:
        return url
    end = _END.search(url)
    tail = end[0] if end and "?" not in url else ""
    return public_url(url.removesuffix(tail)) + tail
