"""Small changes to bytes, most of which leave them nearly right."""

import re
from random import Random

_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[A-Za-z_.-]+|[\[\]{}:,]'
)
_TOKENS = (
    b"0", b"-1", b"9223372036854775813", b"-9223372036854775809", b"1e999", b"1" * 5000, b"0.1", b"NaN", b"-Infinity",
    b"null", b"true", b'""', b'" "', b'"\\ud83d"', b'"\\u0000"', b'"\\u2028"', b"[]", b"{}", b"[[1]]", b'{"a": 1}',
    b'{"a": 1, "a": 2}', b"[" * 200, b'{"a":' * 200, b'"' + b"x" * 300 + b'"', b'"../../etc/passwd"', b'"/dev/zero"',
    b'"https://user:key@example.invalid/a.png"', b'"a\\nb"', b",", b":", b'"', b"'", b"\\",
)  # fmt: skip
_PIECES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\xbd", b"\xe2\x80\xa8", b"\r\n", b"\n", b"\x1b[31m", b"\xff" * 8,
    b"\0" * 512, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\x7f",
)  # fmt: skip


def flip(data: bytes, random: Random) -> bytes:
    """One bit."""
    changed = bytearray(data)
    changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, random: Random) -> bytes:
    """Some bytes, at random or of a kind that breaks readers."""
    piece = random.choice((*_PIECES, random.randbytes(random.randint(1, 16))))
    place = random.randrange(len(data))
    return data[:place] + piece + data[place + len(piece) :]


def insert(data: bytes, random: Random) -> bytes:
    """Bytes that were not there."""
    place = random.randint(0, len(data))
    return data[:place] + random.choice(_PIECES) + data[place:]


def cut(data: bytes, random: Random) -> bytes:
    """The end is missing."""
    return data[: random.randrange(len(data))]


def drop(data: bytes, random: Random) -> bytes:
    """A part is missing."""
    start = random.randrange(len(data))
    return data[:start] + data[start + random.randint(1, 600) :]


def repeat(data: bytes, random: Random) -> bytes:
    """A part stands there twice."""
    start = random.randrange(len(data))
    stop = start + random.randint(1, 1200)
    return data[:stop] + data[start:]


def swap_token(data: bytes, random: Random) -> bytes:
    """Another value in the place of one, in text such as JSON, CSV or YAML."""
    places = list(_TOKEN.finditer(data[: 2**16]))
    if not places:
        return flip(data, random)
    place = random.choice(places)
    value = random.choice((*_TOKENS, random.choice(places)[0]))
    return data[: place.start()] + value + data[place.end() :]


ANY = (flip, overwrite, insert, cut, drop, repeat, swap_token, swap_token)


def mutate(data: bytes, random: Random, more: tuple = ()) -> bytes:  # type: ignore[type-arg]
    """Data after one to three changes; ``more`` are as frequent as all others together."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if data:
            mutator = random.choice(more) if more and random.random() < 0.5 else random.choice(ANY)
            data = mutator(data, random)
    return data
