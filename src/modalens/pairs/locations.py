"""Where shards lie, and what they are called."""

import os
import re
from collections import Counter
from glob import glob
from itertools import islice
from math import prod
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from modalens.errors import InputError, ModalensError
from modalens.pairs.paths import require_file
from modalens.pairs.remote import is_url, match_urls, require_remote
from modalens.pairs.text import escape_name
from modalens.redaction import public_url

_EXAMPLE = "wds:shards/{0000..0012}.tar"
_MAX_SHARDS = 100_000
_WORDS, _NESTED = re.compile(r"\{([^{}]*,[^{}]*)\}"), re.compile(r"\{[^}]*\{")
_RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?\}")


def expand_shards(location: str) -> list[str]:
    """Paths and URLs of the shards a pattern stands for.

    Raises
    ------
    ModalensError
        If the pattern is malformed, stands for nothing or twice for one shard, or a shard does not exist:
        any on this machine, the first or the last of a range of URLs.
    """
    shards: list[str] = []
    try:
        # Part by part, to know the first and the last shard that a URL with braces stands for.
        parts = [[place for place in _expand(part) if place] for part in location.split("::")]
    except ModalensError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"The shards '{location}' cannot be expanded: {error}.") from error
    for places in parts:
        found = [_match(place) for place in places]
        for place, matches in zip(places, found, strict=True):
            if not matches:
                raise InputError(f"There is no shard '{place}', which '{location}' stands for.")
        shards += [shard for matches in found for shard in matches]
        # Asking a server for each of thousands of shards could take an hour, and a range that is too long
        # is the mistake people make.
        for place in dict.fromkeys(places[:1] + places[-1:]):
            if is_url(place) and "*" not in place:
                require_remote(place)
    if not shards:
        raise InputError("No shards are given; give some as in wds:shards/{0000..0012}.tar.")
    if repeated := [shard for shard, times in Counter(shards).items() if times > 1]:
        raise InputError(f"The shard '{repeated[0]}' is given twice by '{location}'.")
    return shards


def _expand(pattern: str) -> list[str]:
    """What a pattern with braces, and with variables as WebDataset knows them, stands for."""
    from braceexpand import braceexpand

    def value(match: re.Match[str]) -> str:
        name = f"WDS_{match[1]}"
        if name not in os.environ:
            raise InputError(f"The shards '{pattern}' cannot be expanded: there is no variable {name}.")
        return os.environ[name]

    pattern = re.sub(r"\$\{(\w+)\}", value, pattern)
    # Each range is laid out before the first name is made, so lengths are looked at beforehand.
    lengths = [
        1 + abs(int(last) - int(first)) // max(abs(int(step or 1)), 1)
        for first, last, step in _RANGE.findall(pattern)
    ]
    if not _NESTED.search(pattern):
        lengths.append(prod(lengths) * prod(1 + words.count(",") for words in _WORDS.findall(pattern)))
    if max(lengths, default=0) > _MAX_SHARDS:
        raise _too_many(pattern)
    places = list(islice(braceexpand(pattern), _MAX_SHARDS + 1))
    if len(places) > _MAX_SHARDS:
        raise _too_many(pattern)
    return places


def _too_many(pattern: str) -> InputError:
    return InputError(f"The shards '{pattern}' are more than {_MAX_SHARDS:,}; give a shorter range.")


def _match(place: str) -> list[str]:
    if is_url(place):
        return match_urls(place)
    path = str(Path(place).expanduser())
    found = [path] if os.path.lexists(path) else sorted(glob(path))  # noqa: PTH207 (patterns may be absolute)
    return [str(require_file(each, "shard", _EXAMPLE)) for each in found]


def name_shards(shards: list[str]) -> list[str]:
    """Names of shards, for ids: the file's without suffix, or with its folder where two would be alike."""
    places = [_place(shard) for shard in shards]
    names = [place.name.partition(".tar")[0] for place in places]
    if len(set(names)) < len(names):
        common = os.path.commonpath([place.parent for place in places])
        names = [place.relative_to(common).as_posix() for place in places]
    return [escape_name(name) for name in names]


def _place(shard: str) -> PurePosixPath:
    """Absolute path of a shard; of a URL, its path below its protocol and host."""
    if not is_url(shard):
        return PurePosixPath(Path(shard).absolute().as_posix())
    url = urlsplit(public_url(shard))
    return PurePosixPath(f"/{url.scheme}/{url.netloc}{url.path}")
