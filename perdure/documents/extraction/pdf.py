"""Extracts PDF page by page with PDFium; QPDF first repairs a file that PDFium cannot open."""

import io
import re
from itertools import islice
from typing import Any

import pikepdf
import pypdfium2
from pypdfium2 import raw

from perdure.documents.document import Section
from perdure.documents.extraction.extracted import Extracted, ExtractionInput, ReadPicture, join_pages
from perdure.documents.extraction.pdf_pictures import shows_picture
from perdure.documents.extraction.structure import MAX_LEVEL, MAX_SECTIONS, one_line
from perdure.errors import DamagedDocument, EncryptedDocument
from perdure.sandbox.parts import Parts

_PROPERTIES = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created",
               "ModDate": "modified", "Creator": "creator", "Producer": "producer"}  # fmt: skip
_TAIL_BYTES = 4096
_PART = "pages"
_WRITTEN = "written"
_PICTURE = "picture"
_UNREADABLE = "unreadable"
_MAX_SOUGHT_CHARACTERS = 200


def extract_pdf(document: ExtractionInput) -> Extracted:
    """Return the text of every page, the bookmarks as headings, and the properties.

    `document.read_picture` reads the pages that show a picture and have no text. `document.parts` holds the pages that
    an earlier attempt finished; each further page is added to it.

    Raises:
        EncryptedDocument: the PDF opens only with a password.
        DamagedDocument: neither PDFium nor QPDF can read the PDF.
    """
    file, warnings = _open(document.content)
    try:
        pages, unreadable, pictures = _read_pages(file, document.read_picture, document.parts or Parts())
        if pages and unreadable == len(pages):
            raise DamagedDocument("None of the PDF's pages can be read.")
        text, offsets = join_pages(pages)
        info: dict[str, Any] = file.get_metadata_dict(skip_empty=True)
        sections = _read_outline(file, pages, offsets)
    finally:
        file.close()
    if unreadable:
        warnings += (f"{unreadable} of {len(pages)} pages could not be read.",)
    if pictures:
        warnings += (f"{pictures} of {len(pages)} pages are pictures; their words come from OCR and may be wrong.",)
    properties: dict[str, Any] = {name: info[key] for key, name in _PROPERTIES.items() if key in info}
    properties["pages"] = len(pages)
    if pictures:
        properties["ocr_pages"] = pictures
    return Extracted(text, info.get("Title"), offsets, properties, warnings, sections)


def _open(content: bytes) -> tuple[pypdfium2.PdfDocument, tuple[str, ...]]:
    """Return the open PDF, repaired if need be, and the warnings that this gives."""
    warnings: tuple[str, ...] = ()
    if b"startxref" not in content[-_TAIL_BYTES:]:
        # PDFium reports nothing when it rebuilds a file that was cut off.
        warnings = ("The end of the PDF is missing; parts of it may be, too.",)
    try:
        return pypdfium2.PdfDocument(content), warnings
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise EncryptedDocument("The PDF is protected by a password.") from error
        if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY:
            raise EncryptedDocument("The PDF is protected in a way that is not known here.") from error
        return _reopen(_repair(content)), ("The PDF was damaged; it was repaired, and parts may be missing.",)


def _read_outline(document: pypdfium2.PdfDocument, pages: list[str], offsets: tuple[int, ...]) -> tuple[Section, ...]:
    """Return the bookmarks as headings.

    A bookmark's offset is that of its words on the page that it leads to, or that of the page without such words.
    """
    sections: list[Section] = []
    after: dict[int, int] = {}
    try:
        for entry in islice(document.get_toc(max_depth=MAX_LEVEL), MAX_SECTIONS):
            target = entry.get_dest()
            heading = one_line(entry.get_title())
            index = target.get_index() if target else None
            if index is None or not 0 <= index < len(pages) or not heading:
                continue
            position = _find_heading(pages[index], heading, after.get(index, 0))
            if position is not None:
                after[index] = position + 1
            sections.append(Section(offsets[index] + (position or 0), entry.level + 1, heading))
    except pypdfium2.PdfiumError:
        pass  # The pages can be read although the outline is damaged.
    return tuple(sections)


def _find_heading(page: str, heading: str, start: int) -> int | None:
    """Return the offset of a heading on its page, or None if it is not there.

    Any white space may stand between the words of the heading.
    """
    words = r"\s+".join(map(re.escape, heading[:_MAX_SOUGHT_CHARACTERS].split()))
    match = re.compile(words, re.IGNORECASE).search(page, start)
    return match.start() if match else None


def _reopen(repaired: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(repaired)
    except pypdfium2.PdfiumError as error:
        raise DamagedDocument("The PDF is damaged beyond repair.") from error


def _read_pages(
    document: pypdfium2.PdfDocument, read_picture: ReadPicture | None, parts: Parts
) -> tuple[list[str], int, int]:
    """Return the texts of the pages, the number of unreadable pages, and that of OCR's pages."""
    pages: list[tuple[str, str]] = parts.of(_PART)[: len(document)]
    for index in range(len(pages), len(document)):
        pages.append(_read_page(document, index, read_picture))
        parts.add(_PART, pages[-1], f"page {index + 1} of {len(document)}")
    kinds = [kind for _, kind in pages]
    return [text for text, _ in pages], kinds.count(_UNREADABLE), kinds.count(_PICTURE)


def _read_page(document: pypdfium2.PdfDocument, index: int, read_picture: ReadPicture | None) -> tuple[str, str]:
    """Return the text of a page, and its kind."""
    try:
        page = document[index]
        text_page = page.get_textpage()
        text = text_page.get_text_bounded().replace("\r\n", "\n").replace("\ufffe", "-")
        kind = _WRITTEN
        text_page.close()
        if read_picture and not text.strip() and shows_picture(page):
            text = read_picture(page)
            kind = _PICTURE
        page.close()
    except pypdfium2.PdfiumError:
        return "", _UNREADABLE
    return text, kind


def _repair(content: bytes) -> bytes:
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
