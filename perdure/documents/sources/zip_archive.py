"""ZIP archives: each file inside is a document of its own, named `zip+file:///a.zip!/inner/name`.

Nothing is ever unpacked to a path, so a name inside leads nowhere. Sizes that an archive claims are not believed: what
comes out is counted. An archive inside an archive stays a document.
"""

import lzma
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from perdure.documents.sources.member import BLOCK_BYTES, Content, Keys, Member
from perdure.errors import DamagedDocument, EncryptedDocument, VanishedDocument

MAX_MEMBERS = 65_534
"""What a directory without extensions can hold."""
MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
_ENCRYPTED = 0x1
_TAIL_BYTES = 65_557
_END, _LOCATOR = b"PK\5\6", b"PK\6\7"
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, UnicodeError,
           RuntimeError, struct.error)  # fmt: skip


def zip_members(_: Path, file: BinaryIO) -> Iterator[Member]:
    """In the order of its directory, which is bounded before it is read.

    Raises:
        DamagedDocument: it is no ZIP, or has too many members.
        OSError: the file cannot be read.
    """
    with _told():
        for key, info in _numbered(_archive(file)):
            yield Member(key, info.filename, info.file_size, _version(info))


class ZipIndex:
    """The directory, read once; the archive stays open as long as the index lives."""

    def __init__(self, _: Path, file: BinaryIO) -> None:
        own = os.fdopen(os.dup(file.fileno()), "rb")
        weakref.finalize(self, own.close)
        with _told():
            self._archive = _archive(own)
            self._infos = dict(_numbered(self._archive))

    def content(self, _: BinaryIO, key: str) -> Content:
        """One member.

        Raises:
            VanishedDocument: there is no such member any more.
            EncryptedDocument: it is protected by a password.
            DamagedDocument: it cannot be unpacked; raised by the pieces.
        """
        info = self._infos.get(key)
        if info is None:
            raise VanishedDocument("It was in the archive at discovery and is not there now.")
        if info.flag_bits & _ENCRYPTED:
            raise EncryptedDocument("The archive protects it by a password.")
        return Content(self._pieces(info), lambda: _version(info))

    def _pieces(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with _told(), self._archive.open(info) as member:
            while block := member.read(BLOCK_BYTES):
                yield block


def _archive(file: IO[bytes]) -> zipfile.ZipFile:
    _check_directory(file)
    return zipfile.ZipFile(file)


def _numbered(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    keys = Keys()
    for info in archive.infolist():
        if not info.is_dir():
            yield keys.key(info.filename), info


def _version(info: zipfile.ZipInfo) -> str:
    return f"{info.file_size}-{info.CRC:08x}"


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
def _told() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DamagedDocument("The archive is damaged or cut off.") from error
