"""ZIP and TAR archives: each regular file inside is a document of its own, named `zip+file:///a.zip!/inner/name`.

Nothing is ever unpacked to a path, so a name inside leads nowhere. A second member of the same name is `…#2`. Sizes
that an archive claims are not believed: what comes out is counted. An archive inside an archive stays a document.
"""

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote_from_bytes

from perdure.documents.sources.member import BLOCK_BYTES, Member
from perdure.errors import DamagedDocument, EncryptedDocument, UnsupportedFormat, VanishedDocument

MAX_MEMBERS = 65_534
"""What a ZIP directory without extensions can hold; one TAR gives no more either."""
MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
MAX_TAR_BYTES = 16 * 1024 * 1024 * 1024
"""Unpacked."""
_MAX_HEADER_BYTES = 1024 * 1024
_ENCRYPTED = 0x1
_TAIL_BYTES = 65_557
_END, _LOCATOR = b"PK\5\6", b"PK\6\7"
_OPENERS: dict[str, Any] = {".tar": open, ".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open}
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, ValueError,
          NotImplementedError, UnicodeError, RuntimeError, struct.error)  # fmt: skip


def zip_members(path: Path) -> Iterator[Member]:
    """In the order of its directory, which is bounded before it is read.

    Raises:
        DamagedDocument: it is no ZIP, or has too many members.
        OSError: the file cannot be read.
    """
    with _zip(path) as archive:
        for key, info in _numbered_zip(archive):
            yield Member(key, info.filename, info.file_size, f"{info.file_size}-{info.CRC:08x}")


def zip_content(path: Path, key: str) -> Iterator[bytes]:
    """The bytes of one member, piece by piece.

    Raises:
        VanishedDocument: there is no such member any more.
        EncryptedDocument: it is protected by a password.
        DamagedDocument: it cannot be unpacked.
    """
    with _zip(path) as archive:
        for found, info in _numbered_zip(archive):
            if found != key:
                continue
            if info.flag_bits & _ENCRYPTED:
                raise EncryptedDocument("The archive protects it by a password.")
            with archive.open(info) as file:
                yield from _pieces(file)
            return
    raise VanishedDocument("It was in the archive at discovery and is not there now.")


def tar_members(path: Path) -> Iterator[Member]:
    """In the order of the archive; raises as `zip_members` does, for a truncated one after what is whole."""
    with _tar(path) as archive:
        for key, info in _numbered_tar(archive):
            yield Member(key, info.name, info.size, f"{info.size}-{info.mtime}")


def tar_content(path: Path, key: str) -> Iterator[bytes]:
    """The bytes of one member; raises as `zip_content` does."""
    with _tar(path) as archive:
        for found, info in _numbered_tar(archive):
            if found == key and (file := archive.extractfile(info)):
                yield from _pieces(file)
                return
    raise VanishedDocument("It was in the archive at discovery and is not there now.")


def _numbered_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    seen: Counter[str] = Counter()
    for info in archive.infolist():
        if not info.is_dir():
            yield _key(info.filename, seen), info


def _numbered_tar(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    seen: Counter[str] = Counter()
    for number, info in enumerate(archive):
        archive.members = []  # type: ignore[attr-defined]  # it would keep them all
        if number >= MAX_MEMBERS:
            raise DamagedDocument(f"The archive has more than {MAX_MEMBERS} members.")
        if info.isreg():
            yield _key(info.name, seen), info


def _key(name: str, seen: "Counter[str]") -> str:
    key = quote_from_bytes(name.encode(errors="surrogateescape"), safe="/-_.~")
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}#{seen[key]}"


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with _told(), path.open("rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            yield archive


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a directory too large for the worker's memory, before anything reads it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:  # noqa: PLR2004 - the record's length
        raise DamagedDocument("The archive has no directory: it is cut off, or no ZIP.")
    count, length = struct.unpack_from("<HL", tail, at + 10)
    # The extended form may say anything, and the library would believe it.
    if _LOCATOR in tail or count > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        raise DamagedDocument(f"The archive has more than {MAX_MEMBERS} members, or a directory of more than 32 MB.")


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    opener = next((one for suffix, one in _OPENERS.items() if path.name.lower().endswith(suffix)), None)
    if opener is None:
        raise UnsupportedFormat("It is no TAR archive of a kind that can be read here.")
    with _told(), opener(path, "rb") as file, tarfile.open(fileobj=cast("IO[bytes]", _Bounded(file)), mode="r:") as one:
        yield one


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


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise DamagedDocument("The archive is damaged or cut off.") from error
