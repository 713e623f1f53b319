"""ZIP archives: each file inside is a document, `zip+file:///a.zip!/inner/name`.

The worker never unpacks a member to a path, so a member's name cannot lead out of a folder. The worker counts the bytes
that come out, and does not believe the sizes that the archive claims. An archive inside an archive stays one document.
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

from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.member import BLOCK_BYTES, Content, Keys, Member
from perdure.errors import DamagedDocument, EncryptedDocument, VanishedDocument

MAX_MEMBERS = 65_534
"""The most members that a directory without ZIP64 records can hold."""
MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
_ENCRYPTED = 0x1
_TAIL_BYTES = 65_557
_END = b"PK\5\6"
_END_BYTES = 22
_ZIP64_LOCATOR = b"PK\6\7"
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, UnicodeError,
           RuntimeError, struct.error)  # fmt: skip


class ZipSource(ContainerSource):
    """A document inside a ZIP archive; implements `Source` and `Container`."""

    scheme = "zip+"
    suffixes = (".zip",)

    def list_members(self, path: Path, file: BinaryIO) -> Iterator[Member]:  # noqa: ARG002 - a ZIP needs no name
        """Yield the members in the order of the directory, whose size is checked before it is read.

        Raises:
            DamagedDocument: the file is no ZIP, or has too many members.
            OSError: the file cannot be read.
        """
        with _translate_errors():
            for key, info in _number_members(_open_archive(file)):
                yield Member(key, info.filename, info.file_size, _make_version(info))

    def build_index(self, path: Path, file: BinaryIO) -> "ZipIndex":  # noqa: ARG002 - a ZIP needs no name
        """Return the archive's directory; raises as `list_members` does."""
        return ZipIndex(file)


class ZipIndex:
    """The directory of a ZIP, read once; the archive stays open as long as the index lives.

    Args:
        file: the archive, open; the index uses a second descriptor.
    """

    def __init__(self, file: BinaryIO) -> None:
        own = os.fdopen(os.dup(file.fileno()), "rb")
        weakref.finalize(self, own.close)
        with _translate_errors():
            self._archive = _open_archive(own)
            self._infos = dict(_number_members(self._archive))

    def content(self, file: BinaryIO, key: str) -> Content:  # noqa: ARG002 - the archive is open already
        """Return the content of one member.

        Raises:
            VanishedDocument: there is no such member any more.
            EncryptedDocument: a password protects the member.
            DamagedDocument: the member cannot be unpacked; reading the pieces raises the error.
        """
        info = self._infos.get(key)
        if info is None:
            raise VanishedDocument("It was in the archive at discovery and is not there now.")
        if info.flag_bits & _ENCRYPTED:
            raise EncryptedDocument("The archive protects it by a password.")
        return Content(self._pieces(info), lambda: _make_version(info))

    def _pieces(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with _translate_errors(), self._archive.open(info) as member:
            while block := member.read(BLOCK_BYTES):
                yield block


def _open_archive(file: IO[bytes]) -> zipfile.ZipFile:
    _check_directory(file)
    return zipfile.ZipFile(file)


def _number_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    keys = Keys()
    for info in archive.infolist():
        if not info.is_dir():
            yield keys.key(info.filename), info


def _make_version(info: zipfile.ZipInfo) -> str:
    return f"{info.file_size}-{info.CRC:08x}"


def _check_directory(file: IO[bytes]) -> None:
    """Check, before the library reads it, that the directory fits into the worker's memory.

    Raises:
        DamagedDocument: the archive has no directory, or its directory is too large.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise DamagedDocument("The archive has no directory: it is cut off, or no ZIP.")
    count, length = struct.unpack_from("<HL", tail, end + 10)
    # The library would believe any size that ZIP64 records claim.
    if _ZIP64_LOCATOR in tail or count > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        raise DamagedDocument(f"The archive has more than {MAX_MEMBERS} members, or a directory of more than 32 MB.")


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DamagedDocument("The archive is damaged or cut off.") from error
