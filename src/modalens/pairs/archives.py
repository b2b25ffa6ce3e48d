"""Files in tar archives, read as a stream and within limits, whoever made the archive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Self

from modalens.errors import ModalensError

MAX_FILE_BYTES = 2**28
"""Largest file that is read out of an archive, in bytes."""
# Longest header of a file's name or attributes, and the most attributes that an archive sets for all its files.
_MAX_HEADER_BYTES = 2**20
_MAX_ATTRIBUTES = 1000
# What a compressed archive may unpack to: pictures and texts come nowhere near.
_FREE_BYTES = 2**28
_MAX_RATIO = 100
_READS_BEYOND = 8
_MAGIC: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
# What Python's readers raise on damaged bytes.
_DAMAGE = (
    tarfile.TarError, OSError, EOFError, ValueError, LookupError, OverflowError, RecursionError,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip


class ArchiveError(Exception):
    """Why an archive cannot be read on, as a part of a sentence that begins with its name."""


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes
    ----------
    name
        Its path in the archive.
    data
        What it holds; None where it is not wanted or not read.
    unread
        Why it is not read though it is wanted, as a part of a sentence; empty otherwise.
    """

    name: str
    data: bytes | None
    unread: str = ""


def read_members(raw: IO[bytes], wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Files of a tar archive in order, plain or compressed by gzip, bzip2 or xz.

    A file that is larger than 2**28 bytes, or sparse, is given without its data. Other libraries take an archive that
    was cut short, or damaged between two files, for one that ends there. This insists on the end mark that every
    whole archive has.

    Parameters
    ----------
    raw
        The archive's bytes; only ``read`` is called.
    wanted
        Whether to read a file, by its path in the archive.

    Raises
    ------
    ArchiveError
        If it is no archive, damaged, cut short, or unpacks to more than its size allows for.
    """
    place = "at its start"
    try:
        with tarfile.open(fileobj=_Unpacked(raw), mode="r|", tarinfo=_StrictTarInfo) as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members.clear()  # else it grows with the archive
                place = f"in the file '{member.name}' at byte {member.offset}"
                if archive.offset <= member.offset or member.size < 0:
                    raise tarfile.ReadError("a file of negative size")
                if len(archive.pax_headers) > _MAX_ATTRIBUTES:
                    raise tarfile.ReadError(f"more than {_MAX_ATTRIBUTES} attributes for all files")
                if member.isreg():
                    yield _read(archive, member) if wanted(member.name) else Member(member.name, None)
                place = f"after the file '{member.name}' at byte {archive.offset}"
    except ModalensError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArchiveError(f"is damaged or cut short {place} ({reason})") from error


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Member:
    if member.size > MAX_FILE_BYTES:
        return Member(member.name, None, f"holds {member.size:,} bytes")
    if member.issparse():
        return Member(member.name, None, "is sparse; archive it without its holes")
    part = archive.extractfile(member)
    return Member(member.name, None if part is None else part.read())


class _Unpacked:
    """The bytes of a file that may be compressed; what grows beyond measure is refused before it takes memory."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = _Counted(raw)
        packed = io.BufferedReader(self._raw, tarfile.RECORDSIZE)
        head = packed.peek(6)
        kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
        self._stream: Any = packed if kind is None else kind(packed)
        self._given = 0
        self._beyond = 0

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self._given += len(data)
        # The tar reader asks again and again where a file claims to go on far beyond the end.
        self._beyond = 0 if data else self._beyond + 1
        if self._beyond > _READS_BEYOND:
            raise EOFError("unexpected end of data")
        if self._given > _FREE_BYTES + _MAX_RATIO * self._raw.taken:
            raise tarfile.ReadError(
                f"{self._raw.taken:,} bytes unpack to more than {self._given:,}, as no pictures do"
            )
        return data


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.taken += len(data)
        return len(data)


class _StrictTarInfo(tarfile.TarInfo):
    """A file's header that must be whole and short; only the end mark may end the archive.

    Maps of sparse files are passed over, since a map without end would fill the memory; such a file is only marked.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0:
            raise tarfile.ReadError("a file of negative size")
        if header.type in _HEADERS and header.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header

    def _proc_sparse(self, archive: Any) -> Self:
        _, extended, size = self._sparse_structs  # type: ignore[attr-defined]
        del self._sparse_structs  # type: ignore[attr-defined]
        while extended:
            extended = bool(archive.fileobj.read(tarfile.BLOCKSIZE)[504])
        self.offset_data = archive.fileobj.tell()
        archive.offset = self.offset_data + self._block(self.size)  # type: ignore[attr-defined]
        self.size, self.sparse = size, []  # type: ignore[assignment]
        return self

    def _mark_sparse(self, file: tarfile.TarInfo, *_: Any) -> None:
        file.sparse = []  # type: ignore[assignment]

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _mark_sparse
