"""Reads office documents with Kreuzberg, and converts its results."""

import re
from collections.abc import Mapping
from typing import Any

import kreuzberg

from perdure.documents.extraction.extracted import Extracted
from perdure.documents.extraction.nodes import find_structure
from perdure.documents.recognition.compound import CompoundFile
from perdure.errors import DamagedDocument, EncryptedDocument

SHIELDS = {38: 0xE001, 60: 0xE002, 62: 0xE003, 34: 0xE004, 39: 0xE005}
"""The private-use character that replaces each markup character while Kreuzberg reads a document; see `word.py`."""
UNSHIELD = {shield: character for character, shield in SHIELDS.items()}

_PROPERTIES = ("title", "subject", "authors", "keywords", "language", "created_at", "modified_at", "created_by",
               "modified_by", "sheet_names", "slide_count", "page_count")  # fmt: skip
_CONFIG = kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True, include_document_structure=True)  # type: ignore[call-arg] # missing in its stubs
_UNICODE_ESCAPE = re.compile(r"\\u(-?\d{1,5}) ?(?:\\'[0-9a-fA-F]{2}|\?)?")
_BYTE_ESCAPE = re.compile(r"\\'([0-9a-fA-F]{2})")


def parse(content: bytes, media_type: str) -> Any:
    """Return Kreuzberg's result for a document.

    Raises:
        EncryptedDocument: a password protects the document.
        DamagedDocument: the document cannot be parsed.
    """
    try:
        return kreuzberg.extract_bytes_sync(content, media_type, config=_CONFIG)
    except MemoryError:
        raise
    except Exception as error:  # Kreuzberg raises RuntimeError too, besides its own classes
        message = str(error).lower()
        if "password" in message or "encrypt" in message:
            raise EncryptedDocument("The document is protected by a password.") from error
        if "malformed fat" in message and len(padded := CompoundFile(content).padded()) > len(content):
            return parse(padded, media_type)
        raise DamagedDocument("The document is damaged: its content breaks the rules of its format.") from error


def title_and_properties(result: Any, additional: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the title and the other properties of a document.

    Args:
        result: the result of `parse`.
        additional: properties that Kreuzberg does not read from this format. They replace Kreuzberg's properties of the
            same name.
    """
    values = {key: _unescape(result.metadata.get(key)) for key in _PROPERTIES}
    properties = {key: value for key, value in values.items() if value not in (None, "", [])} | dict(additional)
    return str(properties.pop("title", "")) or None, properties


def structured_text(result: Any, text: str, title: str | None, properties: dict[str, Any]) -> Extracted:
    """Return the text with the headings and tables of Kreuzberg's nodes.

    Args:
        result: the result of `parse`.
        text: the result's content, with changes that a format needs.
        title: title of the document.
        properties: properties of the document.
    """
    text, sections, tables = find_structure(text, (result.document or {}).get("nodes") or (), UNSHIELD)
    return Extracted(text, title, properties=properties, sections=sections, tables=tables)


def _unescape(value: Any) -> Any:
    """Return the value without RTF's escapes, which Kreuzberg leaves in an RTF's properties."""
    if isinstance(value, list):
        return [_unescape(element) for element in value]
    if not isinstance(value, str) or "\\" not in value:
        return value
    # RTF writes a character beyond the first plane as two escapes, as UTF-16 does.
    text = _UNICODE_ESCAPE.sub(lambda match: chr(int(match.group(1)) & 0xFFFF), value)
    text = _BYTE_ESCAPE.sub(lambda match: bytes.fromhex(match.group(1)).decode("cp1252", "replace"), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
