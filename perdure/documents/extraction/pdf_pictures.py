"""Finds pictures on the pages of a PDF, and the reason for which a PDF has no text."""

from typing import Any

import pypdfium2
from pypdfium2 import raw

from perdure.documents.extraction.extracted import Extracted
from perdure.errors import DocumentError, ImageOnlyDocument, NoTextExtracted

_MAX_PAGES = 200
_MAX_DEPTH = 5


def explain_pdf(content: bytes, extracted: Extracted) -> DocumentError:
    """Return the reason for which no text came out of a PDF that could be opened."""
    if "ocr_pages" in extracted.properties:
        return ImageOnlyDocument("The PDF's pages are pictures, and OCR found no words in them either.")
    if has_pictures(content):
        return ImageOnlyDocument("The PDF's pages are pictures without text, as from a scanner; only OCR reads them.")
    return NoTextExtracted("The PDF has no text on its pages: they are empty, or hold drawings only.")


def has_pictures(content: bytes) -> bool:
    """Return whether one of a PDF's first 200 pages shows a picture."""
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError:
        return False
    try:
        for index in range(min(len(document), _MAX_PAGES)):
            try:
                if shows_picture(document[index]):
                    return True
            except pypdfium2.PdfiumError:
                continue
    finally:
        document.close()
    return False


def shows_picture(page: Any) -> bool:
    """Return whether there is a picture on a page of pypdfium2.

    Raises:
        PdfiumError: the page cannot be read.
    """
    objects = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=_MAX_DEPTH)
    return next(iter(objects), None) is not None
