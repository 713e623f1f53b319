"""PDF: text page by page through PDFium; what PDFium cannot open is repaired by QPDF first."""

import io
from typing import Any

import pikepdf
import pypdfium2
from pypdfium2 import raw

from perdure.documents.extraction.extracted import Extracted, joined_pages
from perdure.errors import DamagedDocument, EncryptedDocument

_PROPERTIES = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created",
               "ModDate": "modified", "Creator": "creator", "Producer": "producer"}  # fmt: skip


_TAIL_BYTES = 4096


def extract_pdf(content: bytes, media_type: str) -> Extracted:  # noqa: ARG001 - the shape of every extractor
    """Text of every page.

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
        document = _reopened(_repaired(content))
        warnings = ("The PDF was damaged; it was repaired, and parts may be missing.",)
    try:
        pages, unreadable = _pages(document)
        if unreadable:
            warnings += (f"{unreadable} of {len(pages)} pages could not be read.",)
        if pages and unreadable == len(pages):
            raise DamagedDocument("None of the PDF's pages can be read.")
        text, offsets = joined_pages(pages)
        info: dict[str, Any] = document.get_metadata_dict(skip_empty=True)
    finally:
        document.close()
    properties = {name: info[key] for key, name in _PROPERTIES.items() if key in info}
    return Extracted(text, info.get("Title"), offsets, {**properties, "pages": len(pages)}, warnings)


def _reopened(repaired: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(repaired)
    except pypdfium2.PdfiumError as error:
        raise DamagedDocument("The PDF is damaged beyond repair.") from error


def _pages(document: pypdfium2.PdfDocument) -> tuple[list[str], int]:
    pages, unreadable = [], 0
    for index in range(len(document)):
        try:
            page = document[index]
            text_page = page.get_textpage()
            pages.append(text_page.get_text_bounded().replace("\r\n", "\n").replace("\ufffe", "-"))
            text_page.close()
            page.close()
        except pypdfium2.PdfiumError:
            pages.append("")
            unreadable += 1
    return pages, unreadable


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
