"""TAR archives, compressed or not: each regular file inside is a document, named `tar+file:///a.tar!/inner/name`.

Nothing is ever unpacked to a path, so a name inside leads nowhere. Sizes that an archive claims are not believed: what
comes out is counted. An archive inside an archive stays a document.
"""

import bz2
import gzip
import lzma
import os
import struct
import tarfile
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from perdure.documents.sources.member import BLOCK_BYTES, Content, Keys, Member, digest_of
from perdure.errors import DamagedDocument, DocumentError, UnsupportedFormat, VanishedDocument

MAX_MEMBERS = 65_534
MAX_TAR_BYTES = 16 * 1024 * 1024 * 1024
"""Unpacked."""
MAX_CURSORS = 8
_MAX_HEADER_BYTES = 1024 * 1024
_COMPRESSED: dict[str, Any] = {".tar.gz": gzip.GzipFile, ".tgz": gzip.GzipFile, ".tar.bz2": bz2.BZ2File}
_BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, ValueError, UnicodeError,
           RuntimeError, struct.error)  # fmt: skip


def tar_members(path: Path, file: BinaryIO) -> Iterator[Member]:
    """In the order of the archive.

    Raises:
        DamagedDocument: it is no TAR, has too many members or, after what is whole, is cut off.
        OSError: the file cannot be read.
    """
    with _told():
        for key, info in _numbered(_unpacked(path, file)):
            yield Member(key, info.name, info.size, _version(info))


class TarIndex:
    """Where each member begins in the unpacked archive, found in one pass.

    What is compressed can only be read from its beginning, so a few places where readers stopped are kept open:
    members that are asked for in about their order cost one pass together, not one each.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._offsets: dict[bytes, int] = {}
        self._fault: DocumentError = VanishedDocument("It was in the archive at discovery and is not there now.")
        self._cursors: list[BinaryIO] = []
        self._lock = threading.Lock()
        try:
            with _told():
                for key, info in _numbered(_unpacked(path, file)):
                    self._offsets[digest_of(key)] = info.offset
        except DocumentError as fault:
            self._fault = fault  # of the members behind the damage

    def content(self, file: BinaryIO, key: str) -> Content:
        """One member.

        Raises:
            VanishedDocument: there is no such member any more.
            DamagedDocument: the archive is damaged before it, or raised by the pieces, within it.
        """
        offset = self._offsets.get(digest_of(key))
        if offset is None:
            raise type(self._fault)(*self._fault.args)
        versions: list[str] = []
        return Content(self._pieces(file, offset, versions), lambda: versions[0])

    def _pieces(self, file: BinaryIO, offset: int, versions: list[str]) -> Iterator[bytes]:
        with _told():
            cursor = self._nearest(offset) or self._fresh(file)
            cursor.seek(offset)
            with _archive(cursor) as archive:
                info = archive.next()
                member = archive.extractfile(info) if info else None
                if info is None or member is None:
                    raise self._fault
                versions.append(_version(info))
                while block := member.read(BLOCK_BYTES):
                    yield block
            if cursor is file:
                return
            with self._lock:
                self._cursors.append(cursor)
                del self._cursors[:-MAX_CURSORS]

    def _fresh(self, file: BinaryIO) -> BinaryIO:
        if not _is_compressed(self._path):
            return file
        own = os.fdopen(os.dup(file.fileno()), "rb")
        own.seek(0)
        cursor = _unpacked(self._path, own)
        weakref.finalize(cursor, own.close)
        return cursor

    def _nearest(self, offset: int) -> BinaryIO | None:
        """The reader that stopped last before the offset, now the caller's own."""
        with self._lock:
            before = [one for one in self._cursors if one.tell() <= offset]
            if not before:
                return None
            nearest = max(before, key=lambda one: one.tell())
            self._cursors.remove(nearest)
            return nearest


def _numbered(file: BinaryIO) -> Iterator[tuple[str, tarfile.TarInfo]]:
    keys = Keys()
    with _archive(file) as archive:
        for number, info in enumerate(archive):
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            if number >= MAX_MEMBERS:
                raise DamagedDocument(f"The archive has more than {MAX_MEMBERS} members.")
            if info.isreg():
                yield keys.key(info.name), info
        # The library ends in silence at a header that it cannot read.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise DamagedDocument("The archive is damaged or cut off.")


def _version(info: tarfile.TarInfo) -> str:
    return f"{info.size}-{info.mtime}"


def _is_compressed(path: Path) -> bool:
    return not path.name.lower().endswith(".tar")


def _unpacked(path: Path, file: BinaryIO) -> BinaryIO:
    name = path.name.lower()
    if not _is_compressed(path):
        return file
    opener = next((one for suffix, one in _COMPRESSED.items() if name.endswith(suffix)), None)
    if opener is None:
        raise UnsupportedFormat("It is no TAR archive of a kind that can be read here.")
    return cast("BinaryIO", opener(filename=file) if opener is bz2.BZ2File else opener(fileobj=file, mode="rb"))


def _archive(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", _Bounded(file)), mode="r:")


class _Bounded:
    """A file whose headers may ask for little at once, and which ends at a limit whatever it unpacks to."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise DamagedDocument("A header of the archive is larger than 1 MB.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > MAX_TAR_BYTES:
            raise DamagedDocument(f"The archive unpacks to more than {MAX_TAR_BYTES // 2**30} GB.")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DamagedDocument("The archive is damaged or cut off.") from error
