"""Extracts RTF, EPUB, Outlook messages, DOC and PPT through Kreuzberg."""

import io
import re
import zipfile

from perdure.documents.extraction.container_metadata import book_properties
from perdure.documents.extraction.extracted import Extracted, ExtractionInput
from perdure.documents.extraction.kreuzberg_reader import parse, structured_text, title_and_properties
from perdure.documents.extraction.zip_container import check_container

_NAMELESS_PICTURE = re.compile(r"^\[Image: image\]$\n*", re.MULTILINE)
_MASTER_LINES = re.compile(
    r"\A(?:\s*(?:Click to edit Master (?:title|subtitle|text) styles?|(?:Second|Third|Fourth|Fifth) level)\s*$)+\s*",
    re.MULTILINE,
)


def extract_document(document: ExtractionInput) -> Extracted:
    """Return the text and properties of a DOC.

    Raises:
        EncryptedDocument, DamagedDocument: raised by `parse`.
    """
    result = parse(document.content, document.media_type)
    title, properties = title_and_properties(result, {})
    return structured_text(result, result.content, title, properties)


def extract_rtf(document: ExtractionInput) -> Extracted:
    """Return the text and properties of an RTF, without the placeholders of its pictures.

    Raises:
        EncryptedDocument, DamagedDocument: raised by `parse`.
    """
    return _extract_without(_NAMELESS_PICTURE, document)


def extract_presentation(document: ExtractionInput) -> Extracted:
    """Return the text and properties of a PPT, without the sample text of its slide master.

    Raises:
        EncryptedDocument, DamagedDocument: raised by `parse`.
    """
    return _extract_without(_MASTER_LINES, document)


def extract_message(document: ExtractionInput) -> Extracted:
    """Return the text of an Outlook message, and the names of its attachments after it.

    Raises:
        EncryptedDocument, DamagedDocument: raised by `parse`.
    """
    result = parse(document.content, document.media_type)
    title, properties = title_and_properties(result, {})
    names = [f"[Attachment: {name}]" for name in result.metadata.get("attachments") or ()]
    title = title or str(result.metadata.get("subject") or "") or None
    return structured_text(result, "\n\n".join([result.content, *names]), title, properties)


def extract_book(document: ExtractionInput) -> Extracted:
    """Return the text and properties of an EPUB.

    Kreuzberg does not read all of the properties, so they are read from the package.

    Raises:
        EncryptedDocument, DocumentTooLarge, DamagedDocument: raised by `check_container` or `parse`.
    """
    check_container(document.content)
    result = parse(document.content, document.media_type)
    with zipfile.ZipFile(io.BytesIO(document.content)) as archive:
        title, properties = title_and_properties(result, book_properties(archive))
    return structured_text(result, result.content, title, properties)


def _extract_without(placeholders: re.Pattern[str], document: ExtractionInput) -> Extracted:
    """Return the text and properties of a document, without the matches of a pattern."""
    result = parse(document.content, document.media_type)
    title, properties = title_and_properties(result, {})
    return structured_text(result, placeholders.sub("", result.content), title, properties)
