"""A document without text has its reason: encryption, damage, pictures only, or no content."""

import io
import zipfile
from collections.abc import Callable

import docx
import pytest

from perdure.documents.extraction import extract
from perdure.documents.sniffing import sniff
from perdure.errors import (
    DamagedDocument,
    DocumentError,
    EncryptedDocument,
    ImageOnlyDocument,
    NoTextExtracted,
    UnsupportedFormat,
)
from tests.unit.documents import made_documents as made


def make_word_with_picture() -> bytes:
    """Return a DOCX that holds a picture and no text."""
    document = docx.Document()
    out = io.BytesIO()
    document.add_picture(io.BytesIO(made.make_picture("Rent")))
    document.save(out)
    return out.getvalue()


def flag_as_encrypted(content: bytes) -> bytes:
    """Return the same container with its members flagged as encrypted."""
    out = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)


def make_locked_book(algorithm: str) -> bytes:
    """Return an EPUB that declares an encrypted part."""
    method = f"<enc:EncryptionMethod Algorithm='{algorithm}'/>"
    out = io.BytesIO(made.make_book("Rent rises."))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("META-INF/encryption.xml", f"<encryption><enc:EncryptedData>{method}</enc:EncryptedData>")
    return out.getvalue()


ENTITIES = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><w:document><w:p>&a;</w:p></w:document>"
REASONS: dict[str, tuple[Callable[[], bytes], type[DocumentError]]] = {
    "scan.pdf": (lambda: made.make_scanned_pdf("Rent"), ImageOnlyDocument),
    "drawing.pdf": (lambda: made.make_pdf(""), NoTextExtracted),
    "blank.pdf": (lambda: made.make_scanned_pdf(""), NoTextExtracted),
    "picture.docx": (make_word_with_picture, ImageOnlyDocument),
    "blank.docx": (lambda: made.make_word(""), NoTextExtracted),
    "picture.html": (lambda: b"<!doctype html><body><img src='scan.png'>", ImageOnlyDocument),
    "blank.html": (lambda: b"<!doctype html><body><p></p>", NoTextExtracted),
    "picture.rtf": (lambda: rb"{\rtf1{\pict\pngblip 89504e47}}", ImageOnlyDocument),
    "blank.xlsx": (made.make_workbook, NoTextExtracted),
    "locked.pdf": (lambda: made.make_encrypted_pdf("secret"), EncryptedDocument),
    "locked.docx": (lambda: flag_as_encrypted(made.make_word()), EncryptedDocument),
    "locked.odt": (lambda: flag_as_encrypted(made.make_open_document()), EncryptedDocument),
    "office.docx": (lambda: made.make_compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}), EncryptedDocument),
    "rights.epub": (lambda: make_locked_book("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), EncryptedDocument),
    "archive.zip": (lambda: flag_as_encrypted(made.make_zip({"a.txt": b"x"})), UnsupportedFormat),
    "half.docx": (lambda: made.make_word()[:5000], DamagedDocument),
    "entities.docx": (
        lambda: made.change_member(made.make_word(), "word/document.xml", lambda _: ENTITIES),
        DamagedDocument,
    ),
    "torn.pptx": (
        lambda: made.change_member(made.make_slides("x"), "ppt/slides/slide1.xml", lambda x: x[:300]),
        DamagedDocument,
    ),
    "nonsense.pdf": (lambda: b"%PDF-1.7 nonsense", DamagedDocument),
}


@pytest.mark.parametrize("name", REASONS)
def test_document_without_text_has_its_reason(name: str) -> None:
    make, reason = REASONS[name]
    content = make()
    with pytest.raises(DocumentError) as caught:
        extract(content, sniff(content, name))
    assert type(caught.value) is reason
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("algorithm", ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
def test_book_with_only_encrypted_fonts_is_read(algorithm: str) -> None:
    content = make_locked_book(algorithm)
    assert "Rent rises." in extract(content, sniff(content, "a.epub")).text
