"""Extracts Word documents (DOCX) through Kreuzberg, without its loss of characters.

Kreuzberg 4.10 drops character references: "Harbour &amp; Finch" becomes "Harbour  Finch", and "it&#8217;s" becomes
"its". So references of markup characters are replaced by private-use characters before Kreuzberg reads the document,
and put back afterwards; every other reference is replaced by its character.
"""

import io
import re
import sys
import zipfile

from perdure.documents.extraction.extracted import Extracted, ExtractionInput
from perdure.documents.extraction.kreuzberg_reader import (
    SHIELDS,
    UNSHIELD,
    parse,
    structured_text,
    title_and_properties,
)
from perdure.documents.extraction.zip_container import UNREADABLE, check_container
from perdure.errors import DamagedDocument

_WORD_PART = re.compile(r"word/[a-z0-9]+\.xml")
_REFERENCE = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {b"amp": 38, b"lt": 60, b"gt": 62, b"quot": 34, b"apos": 39}
_SURROGATES = range(0xD800, 0xE000)
_DOCTYPE_WITHIN = 1024


def extract_word(document: ExtractionInput) -> Extracted:
    """Return the text, headings, tables and properties of a DOCX.

    Raises:
        EncryptedDocument, DocumentTooLarge, DamagedDocument: raised by `check_container` or `parse`.
    """
    check_container(document.content)
    result = parse(_shield(document.content), document.media_type)
    title, properties = title_and_properties(result, {})
    return structured_text(result, result.content.translate(UNSHIELD), title, properties)


def _shield(content: bytes) -> bytes:
    """Return the same DOCX without character references in its XML."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as copy:
            for member in archive.infolist():
                part = archive.read(member)
                has_doctype = b"<!DOCTYPE" in part[:_DOCTYPE_WITHIN]
                if _WORD_PART.fullmatch(member.filename) and b"&" in part and not has_doctype:
                    part = _REFERENCE.sub(_make_replacement, part)
                copy.writestr(member.filename, part)
    except UNREADABLE as error:
        raise DamagedDocument("The document's container is damaged.") from error
    return out.getvalue()


def _make_replacement(reference: re.Match[bytes]) -> bytes:
    named, decimal, hexadecimal = reference.groups()
    character = _NAMED[named] if named else int(decimal) if decimal else int(hexadecimal, 16)
    if character < ord(" ") or character in _SURROGATES or character > sys.maxunicode:
        return b" "
    return chr(SHIELDS.get(character, character)).encode()
