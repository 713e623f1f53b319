"""Checks the ZIP container of an office document or a book before a parser unpacks it."""

import io
import re
import zipfile

from perdure.errors import DamagedDocument, DocumentTooLarge, EncryptedDocument

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_RATIO = 200
"""A container that unpacks to more than this times its size, and to more than `RATIO_FROM_BYTES`, is a bomb."""
RATIO_FROM_BYTES = 64 * 1024 * 1024
UNREADABLE = (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError)
"""The errors that `zipfile` raises for damaged containers."""

_MAX_DESCRIPTION_BYTES = 1024 * 1024
_ALGORITHM = re.compile(rb"EncryptionMethod[^<>]*\bAlgorithm\s*=\s*[\"']([^\"'<>]*)")
_FONT_ALGORITHMS = {b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC"}
"""Many books encrypt only their fonts, which leaves the text readable."""


def check_container(content: bytes) -> None:
    """Check that a container is whole, is not encrypted, and unpacks to a believable size.

    Raises:
        DamagedDocument: the container's directory cannot be read.
        EncryptedDocument: a password or rights management protects the text.
        DocumentTooLarge: the container unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            manifest = _read_member(archive, "META-INF/manifest.xml")
            encrypted = any(member.flag_bits & 1 for member in members) or b"encryption-data" in manifest
            algorithms = set(_ALGORITHM.findall(_read_member(archive, "META-INF/encryption.xml")))
    except UNREADABLE as error:
        raise DamagedDocument("The document's container is damaged.") from error
    if encrypted:
        raise EncryptedDocument("The document is protected by a password.")
    if algorithms - _FONT_ALGORITHMS:
        raise EncryptedDocument("The document is protected by its publisher's rights management.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * len(content)):
        raise DocumentTooLarge(f"The document unpacks to {unpacked // 2**20} MB, which is not believable.")


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as member:
            return member.read(_MAX_DESCRIPTION_BYTES)
    except KeyError:
        return b""
