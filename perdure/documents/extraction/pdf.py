"""PDF: text page by page through PDFium; what PDFium cannot open is repaired by QPDF first."""

import io
import re
from collections.abc import Callable
from itertools import islice
from typing import Any

import pikepdf
import pypdfium2
from pypdfium2 import raw

from perdure.documents.document import Section
from perdure.documents.extraction.extracted import Extracted, joined_pages
from perdure.documents.extraction.missing_text import shows_picture
from perdure.documents.extraction.structure import MAX_LEVEL, MAX_SECTIONS, one_line
from perdure.errors import DamagedDocument, EncryptedDocument
from perdure.sandbox.parts import Parts

_PROPERTIES = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created",
               "ModDate": "modified", "Creator": "creator", "Producer": "producer"}  # fmt: skip


_TAIL_BYTES = 4096
_PART = "pages"
_WRITTEN, _PICTURE, _UNREADABLE = "written", "picture", "unreadable"
_MAX_SOUGHT_CHARACTERS = 200


def extract_pdf(
    content: bytes, read_picture: Callable[[Any], str] | None = None, parts: Parts | None = None
) -> Extracted:
    """Text of every page.

    Args:
        content: of the file.
        read_picture: the text of a page that shows a picture and has none; None leaves it without.
        parts: pages that were finished before, and where to put more.

    Raises:
        EncryptedDocument: it opens with a password only.
        DamagedDocument: neither PDFium nor QPDF can make sense of it.
    """
    warnings: tuple[str, ...] = ()
    if b"startxref" not in content[-_TAIL_BYTES:]:
        # PDFium rebuilds what it can of a file that was cut off, and says nothing.
        warnings = ("The end of the PDF is missing; parts of it may be, too.",)
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise EncryptedDocument("The PDF is protected by a password.") from error
        if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY:
            raise EncryptedDocument("The PDF is protected in a way that is not known here.") from error
        document = _reopened(_repaired(content))
        warnings = ("The PDF was damaged; it was repaired, and parts may be missing.",)
    try:
        pages, unreadable, pictures = _pages(document, read_picture, parts or Parts())
        if unreadable:
            warnings += (f"{unreadable} of {len(pages)} pages could not be read.",)
        if pages and unreadable == len(pages):
            raise DamagedDocument("None of the PDF's pages can be read.")
        if pictures:
            warnings += (f"{pictures} of {len(pages)} pages are pictures; their words come from OCR and may be wrong.",)
        text, offsets = joined_pages(pages)
        info: dict[str, Any] = document.get_metadata_dict(skip_empty=True)
        sections = _outline(document, pages, offsets)
    finally:
        document.close()
    properties: dict[str, Any] = {name: info[key] for key, name in _PROPERTIES.items() if key in info}
    properties["pages"] = len(pages)
    if pictures:
        properties["ocr_pages"] = pictures
    return Extracted(text, info.get("Title"), offsets, properties, warnings, sections)


def _outline(document: pypdfium2.PdfDocument, pages: list[str], offsets: tuple[int, ...]) -> tuple[Section, ...]:
    """The bookmarks, each where its words stand on the page that it leads to, else where that page begins."""
    sections: list[Section] = []
    after: dict[int, int] = {}
    try:
        for entry in islice(document.get_toc(max_depth=MAX_LEVEL), MAX_SECTIONS):
            target, heading = entry.get_dest(), one_line(entry.get_title())
            index = target.get_index() if target else None
            if index is None or not 0 <= index < len(pages) or not heading:
                continue
            place = _place(pages[index], heading, after.get(index, 0))
            if place is not None:
                after[index] = place + 1
            sections.append(Section(offsets[index] + (place or 0), entry.level + 1, heading))
    except pypdfium2.PdfiumError:
        pass  # a damaged outline is no reason to refuse the pages
    return tuple(sections)


def _place(page: str, heading: str, start: int) -> int | None:
    """Where a heading stands on its page, however its line is broken there."""
    words = r"\s+".join(map(re.escape, heading[:_MAX_SOUGHT_CHARACTERS].split()))
    found = re.compile(words, re.IGNORECASE).search(page, start)
    return found.start() if found else None


def _reopened(repaired: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(repaired)
    except pypdfium2.PdfiumError as error:
        raise DamagedDocument("The PDF is damaged beyond repair.") from error


def _pages(
    document: pypdfium2.PdfDocument, read_picture: Callable[[Any], str] | None, parts: Parts
) -> tuple[list[str], int, int]:
    """The texts, and how many of them could not be read, and how many OCR has read."""
    pages: list[tuple[str, str]] = parts.of(_PART)[: len(document)]
    for index in range(len(pages), len(document)):
        pages.append(_page(document, index, read_picture))
        parts.add(_PART, pages[-1], f"page {index + 1} of {len(document)}")
    kinds = [kind for _, kind in pages]
    return [text for text, _ in pages], kinds.count(_UNREADABLE), kinds.count(_PICTURE)


def _page(document: pypdfium2.PdfDocument, index: int, read_picture: Callable[[Any], str] | None) -> tuple[str, str]:
    """Its text, and what it is."""
    try:
        page = document[index]
        text_page = page.get_textpage()
        text, kind = text_page.get_text_bounded().replace("\r\n", "\n").replace("\ufffe", "-"), _WRITTEN
        text_page.close()
        if read_picture and not text.strip() and shows_picture(page):
            text, kind = read_picture(page), _PICTURE
        page.close()
    except pypdfium2.PdfiumError:
        return "", _UNREADABLE
    return text, kind


def _repaired(content: bytes) -> bytes:
    try:
        with pikepdf.open(io.BytesIO(content), suppress_warnings=True) as document:
            if len(document.pages) == 0:
                raise DamagedDocument("The PDF is damaged, and no page can be recovered.")
            out = io.BytesIO()
            document.save(out)
    except pikepdf.PasswordError as error:
        raise EncryptedDocument("The PDF is protected by a password.") from error
    except (pikepdf.PdfError, RuntimeError, ValueError) as error:
        raise DamagedDocument("The PDF is damaged beyond repair.") from error
    return out.getvalue()
