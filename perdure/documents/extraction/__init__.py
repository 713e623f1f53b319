"""Extracts text, pages and structure from the bytes of a document: one module a family.

Imports `perdure.documents` (document, formats, recognition), `perdure.analysis.language` and `perdure.sandbox.parts`.
Start reading in `extracted.py`, then `text.py`, the shortest extractor; `perdure/documents/formats.py` names them all.
"""

from perdure.documents.extraction.extracted import Extracted, ExtractionInput, ReadPicture
from perdure.documents.formats import format_of
from perdure.documents.lazy_import import load
from perdure.sandbox.parts import Parts

__all__ = ["Extracted", "ExtractionInput", "ReadPicture", "extract"]


def extract(
    content: bytes, media_type: str, read_picture: ReadPicture | None = None, parts: Parts | None = None
) -> Extracted:
    """Return text, pages, structure and properties of a document.

    Args:
        content: the whole file.
        media_type: the media type that recognition returned.
        read_picture: returns the text of a page of pypdfium2 that shows a picture and has no text; None without OCR.
        parts: the pages that an earlier attempt finished, and where to record further ones.

    Raises:
        DocumentError: the document is encrypted or damaged, or extraction found no text in it.
    """
    row = format_of(media_type)
    extracted: Extracted = load(row.extractor)(ExtractionInput(content, media_type, read_picture, parts))
    if extracted.text.strip():
        return extracted
    raise load(row.why_no_text)(content, extracted)
