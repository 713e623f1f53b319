"""Why a document has no text: it holds pictures only, breaks the rules of its format, or has nothing to say."""

import io
import re
import zipfile
from typing import Any

import pypdfium2
from pypdfium2 import raw

from perdure.documents import sniffing
from perdure.errors import DamagedDocument, DocumentError, ImageOnlyDocument, NoTextExtracted

_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|webp|svg|emf|wmf|jp2|jxr|wdp)$", re.IGNORECASE)
_PICTURE_TAG = re.compile(rb"<(?:img|svg|picture|image)\b", re.IGNORECASE)
_DECLARATION = re.compile(rb"<!DOCTYPE|<!ENTITY")
_HEAD_BYTES = 4096
_MAX_PAGES = 200
_MAX_DEPTH = 5
_MAX_MEMBERS = 10_000


def without_text(content: bytes, media_type: str, *, by_ocr: bool = False) -> DocumentError:
    """The reason for which nothing came out of a document that could be opened.

    Args:
        content: of the file.
        media_type: as sniffed.
        by_ocr: whether pictures were read by OCR already.
    """
    if by_ocr:
        return ImageOnlyDocument("The PDF's pages are pictures, and OCR found no words in them either.")
    if media_type == sniffing.PDF:
        if has_pictures(content):
            return ImageOnlyDocument(
                "The PDF's pages are pictures without text, as from a scanner; only OCR reads them."
            )
        return NoTextExtracted("The PDF has no text on its pages: they are empty, or hold drawings only.")
    pictures = False
    if content.startswith(b"PK"):
        try:
            pictures = _container_has_pictures(content)
        except _DeclaresEntitiesError:
            return DamagedDocument("The document is damaged: it declares entities, which its format forbids.")
    elif media_type == sniffing.HTML:
        pictures = _PICTURE_TAG.search(content) is not None
    elif media_type == sniffing.RTF:
        pictures = b"\\pict" in content
    elif media_type == sniffing.PPT:
        pictures = "Pictures".encode("utf-16-le") in content
    if pictures:
        return ImageOnlyDocument("The document holds pictures and no text; only OCR reads them.")
    return NoTextExtracted("No text was found in the document: it is empty, or holds drawings or data only.")


def has_pictures(content: bytes) -> bool:
    """Whether one of a PDF's first pages shows a picture."""
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
    """Whether there is a picture on a page of pypdfium2.

    Raises:
        PdfiumError: the page cannot be read.
    """
    objects = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=_MAX_DEPTH)
    return next(iter(objects), None) is not None


class _DeclaresEntitiesError(Exception):
    """Parsers leave out what it would unfold to, and so everything else."""


def _container_has_pictures(content: bytes) -> bool:
    pictures = False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist()[:_MAX_MEMBERS]:
            name = member.filename.lower()
            pictures = pictures or (_PICTURE.search(name) is not None and "thumbnail" not in name)
            if name.startswith(("word/", "xl/")) and name.endswith(".xml"):
                with archive.open(member) as part:
                    if _DECLARATION.search(part.read(_HEAD_BYTES)):
                        raise _DeclaresEntitiesError
    return pictures
