"""Text out of bytes: one module for each family of formats, chosen by the sniffed media type."""

from collections.abc import Callable
from typing import Any

from perdure.documents import sniffing
from perdure.documents.extraction.extracted import Extracted
from perdure.sandbox.parts import Parts

__all__ = ["Extracted", "extract"]

_TEXTS = (sniffing.PLAIN, sniffing.MARKDOWN, sniffing.CSV, sniffing.TSV, sniffing.JSON, sniffing.XML)

Extractor = Callable[[bytes, str], Extracted]
ReadPicture = Callable[[Any], str]


def extract(
    content: bytes, media_type: str, read_picture: ReadPicture | None = None, parts: Parts | None = None
) -> Extracted:
    """Text, pages, structure and properties of a document.

    Args:
        content: of the file.
        media_type: as sniffed.
        read_picture: given a page of pypdfium2 that shows a picture and has no text, its text by OCR; None without OCR.
        parts: pages that were finished before, and where to put more.

    Raises:
        DocumentError: it is encrypted or damaged, or no text comes out of it.
    """
    if media_type == sniffing.PDF:
        from perdure.documents.extraction.pdf import extract_pdf  # noqa: PLC0415 - as below

        extracted = extract_pdf(content, read_picture, parts)
    else:
        extracted = _extractor(media_type)(content, media_type)
    if not extracted.text.strip():
        from perdure.documents.extraction.missing_text import without_text  # noqa: PLC0415 - as below

        raise without_text(content, media_type, by_ocr="ocr_pages" in extracted.properties)
    return extracted


def _extractor(media_type: str) -> Extractor:
    # Imported when first needed: a process that meets no PDF loads no PDF library.
    if media_type == sniffing.HTML:
        from perdure.documents.extraction.html import extract_html as chosen  # noqa: PLC0415
    elif media_type == sniffing.EML:
        from perdure.documents.extraction.mail import extract_mail as chosen  # noqa: PLC0415
    elif media_type in _TEXTS:
        from perdure.documents.extraction.text import extract_text as chosen  # noqa: PLC0415
    else:
        from perdure.documents.extraction.office import extract_office as chosen  # noqa: PLC0415
    return chosen
