"""Finds out whether a password protects a DOC, XLS or PPT."""

import struct

from perdure.documents.recognition.compound import CompoundFile

_FILE_PASS = 0x002F
_FIB_BYTES = 12
_FIB_ENCRYPTED = 1
_HEAD_BYTES = 4096
_ENCRYPTED_TOKEN = b"\xdf\xc4\xd1\xf3"


def is_word_encrypted(file: CompoundFile, stream: str) -> bool:
    """Return whether bit 8 of the flags at byte 10, `fEncrypted` of [MS-DOC], is set."""
    head = file.head(stream, _FIB_BYTES)
    return len(head) == _FIB_BYTES and bool(head[11] & _FIB_ENCRYPTED)


def is_presentation_encrypted(file: CompoundFile, _stream: str) -> bool:
    """Return whether `CurrentUserAtom.headerToken` of [MS-PPT] marks encryption."""
    return file.head("current user", 16)[12:16] == _ENCRYPTED_TOKEN


def is_workbook_encrypted(file: CompoundFile, stream: str) -> bool:
    """Return whether the first records of the workbook hold a `FilePass` record of [MS-XLS]."""
    head = file.head(stream, _HEAD_BYTES)
    offset = 0
    while offset + 4 <= len(head):
        record, length = struct.unpack_from("<HH", head, offset)
        if record == _FILE_PASS:
            return True
        offset += 4 + length
    return False
