"""TAR archives, compressed or not: each file inside is a document, `tar+file:///a.tar!/b/c`.

The worker never unpacks a member to a path, so a member's name cannot lead out of a folder. The worker counts the bytes
that come out, and does not believe the sizes that the archive claims. An archive inside an archive stays one document.
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

from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.member import BLOCK_BYTES, Content, Keys, Member, digest_of
from perdure.errors import DamagedDocument, DocumentError, UnsupportedFormat, VanishedDocument

MAX_MEMBERS = 65_534
MAX_TAR_BYTES = 16 * 1024 * 1024 * 1024
"""After decompression."""
MAX_CURSORS = 8
"""Most readers that stay open, each where it stopped, in one compressed archive."""
_MAX_HEADER_BYTES = 1024 * 1024
_COMPRESSED: dict[str, Any] = {".tar.gz": gzip.GzipFile, ".tgz": gzip.GzipFile, ".tar.bz2": bz2.BZ2File}
_BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, ValueError, UnicodeError,
           RuntimeError, struct.error)  # fmt: skip


class TarSource(ContainerSource):
    """A document inside a TAR archive; implements `Source` and `Container`."""

    scheme = "tar+"
    suffixes = (".tar", ".tar.gz", ".tgz", ".tar.bz2")

    def list_members(self, path: Path, file: BinaryIO) -> Iterator[Member]:
        """Yield the members in the order of the archive.

        Raises:
            DamagedDocument: the file is no TAR, has too many members, or ends within a member.
            OSError: the file cannot be read.
        """
        with _translate_errors():
            for key, info in _number_members(_open_decompressed(path, file)):
                yield Member(key, info.name, info.size, _make_version(info))

    def build_index(self, path: Path, file: BinaryIO) -> "TarIndex":
        """Return the places of the members; raises `OSError` if the file cannot be read."""
        return TarIndex(path, file)


class TarIndex:
    """The offset of each member in the decompressed archive, found in one pass.

    A compressed archive can only be read from its beginning. So the index keeps a few readers open where they stopped.
    Members that are read in about the order of the archive then cost one pass together.

    Args:
        path: path of the archive; the ending of its name shows the compression.
        file: the archive, open.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._offsets: dict[bytes, int] = {}
        self._fault: DocumentError = VanishedDocument("It was in the archive at discovery and is not there now.")
        self._cursors: list[BinaryIO] = []
        self._lock = threading.Lock()
        try:
            with _translate_errors():
                for key, info in _number_members(_open_decompressed(path, file)):
                    self._offsets[digest_of(key)] = info.offset
        except DocumentError as fault:
            self._fault = fault  # the reason for each member after the damage

    def content(self, file: BinaryIO, key: str) -> Content:
        """Return the content of one member.

        Raises:
            VanishedDocument: there is no such member any more.
            DamagedDocument: the archive is damaged before the member. If the member itself is damaged, reading the
                pieces raises the error.
        """
        offset = self._offsets.get(digest_of(key))
        if offset is None:
            raise type(self._fault)(*self._fault.args)
        versions: list[str] = []
        return Content(self._pieces(file, offset, versions), lambda: versions[0])

    def _pieces(self, file: BinaryIO, offset: int, versions: list[str]) -> Iterator[bytes]:
        with _translate_errors():
            cursor = self._take_nearest(offset) or self._open_cursor(file)
            cursor.seek(offset)
            with _open_archive(cursor) as archive:
                info = archive.next()
                member = archive.extractfile(info) if info else None
                if info is None or member is None:
                    raise self._fault
                versions.append(_make_version(info))
                while block := member.read(BLOCK_BYTES):
                    yield block
            if cursor is file:
                return
            with self._lock:
                self._cursors.append(cursor)
                del self._cursors[:-MAX_CURSORS]

    def _open_cursor(self, file: BinaryIO) -> BinaryIO:
        if not _is_compressed(self._path):
            return file
        own = os.fdopen(os.dup(file.fileno()), "rb")
        own.seek(0)
        cursor = _open_decompressed(self._path, own)
        weakref.finalize(cursor, own.close)
        return cursor

    def _take_nearest(self, offset: int) -> BinaryIO | None:
        """Remove and return the reader that stopped closest before the offset, or None."""
        with self._lock:
            before = [cursor for cursor in self._cursors if cursor.tell() <= offset]
            if not before:
                return None
            nearest = max(before, key=lambda cursor: cursor.tell())
            self._cursors.remove(nearest)
            return nearest


def _number_members(file: BinaryIO) -> Iterator[tuple[str, tarfile.TarInfo]]:
    keys = Keys()
    with _open_archive(file) as archive:
        for number, info in enumerate(archive):
            archive.members = []  # type: ignore[attr-defined]  # The library would keep every header in memory.
            if number >= MAX_MEMBERS:
                raise DamagedDocument(f"The archive has more than {MAX_MEMBERS} members.")
            if info.isreg():
                yield keys.key(info.name), info
        # The library ends without an error at a header that it cannot read.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise DamagedDocument("The archive is damaged or cut off.")


def _make_version(info: tarfile.TarInfo) -> str:
    return f"{info.size}-{info.mtime}"


def _is_compressed(path: Path) -> bool:
    return not path.name.lower().endswith(".tar")


def _open_decompressed(path: Path, file: BinaryIO) -> BinaryIO:
    name = path.name.lower()
    if not _is_compressed(path):
        return file
    opener = next((kind for suffix, kind in _COMPRESSED.items() if name.endswith(suffix)), None)
    if opener is None:
        raise UnsupportedFormat("It is no TAR archive of a kind that can be read here.")
    return cast("BinaryIO", opener(filename=file) if opener is bz2.BZ2File else opener(fileobj=file, mode="rb"))


def _open_archive(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", _Bounded(file)), mode="r:")


class _Bounded:
    """A file that refuses large reads and far seeks, which a TAR's headers can ask for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Read at most 1 MB; raise `DamagedDocument` for more."""
        if size > _MAX_HEADER_BYTES:
            raise DamagedDocument("A header of the archive is larger than 1 MB.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek within the first 16 GB; raise `DamagedDocument` beyond."""
        if offset > MAX_TAR_BYTES:
            raise DamagedDocument(f"The archive unpacks to more than {MAX_TAR_BYTES // 2**30} GB.")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DamagedDocument("The archive is damaged or cut off.") from error
