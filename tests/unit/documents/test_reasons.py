"""Documents without a text are told apart: encrypted, damaged, pictures only, nothing in them."""

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


def word_with_picture() -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.add_picture(io.BytesIO(made.picture("Rent")))
    document.save(out)
    return out.getvalue()


def encrypted_zip(content: bytes) -> bytes:
    """The same container, its members flagged as encrypted."""
    out = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)


def locked_book(algorithm: str) -> bytes:
    method = f"<enc:EncryptionMethod Algorithm='{algorithm}'/>"
    out = io.BytesIO(made.book("Rent rises."))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("META-INF/encryption.xml", f"<encryption><enc:EncryptedData>{method}</enc:EncryptedData>")
    return out.getvalue()


ENTITIES = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><w:document><w:p>&a;</w:p></w:document>"
REASONS: dict[str, tuple[Callable[[], bytes], type[DocumentError]]] = {
    "scan.pdf": (lambda: made.scanned_pdf("Rent"), ImageOnlyDocument),
    "drawing.pdf": (lambda: made.pdf(""), NoTextExtracted),
    "blank.pdf": (lambda: made.scanned_pdf(""), NoTextExtracted),
    "picture.docx": (word_with_picture, ImageOnlyDocument),
    "blank.docx": (lambda: made.word(""), NoTextExtracted),
    "picture.html": (lambda: b"<!doctype html><body><img src='scan.png'>", ImageOnlyDocument),
    "blank.html": (lambda: b"<!doctype html><body><p></p>", NoTextExtracted),
    "picture.rtf": (lambda: rb"{\rtf1{\pict\pngblip 89504e47}}", ImageOnlyDocument),
    "blank.xlsx": (made.workbook, NoTextExtracted),
    "locked.pdf": (lambda: made.encrypted_pdf("secret"), EncryptedDocument),
    "locked.docx": (lambda: encrypted_zip(made.word()), EncryptedDocument),
    "locked.odt": (lambda: encrypted_zip(made.open_document()), EncryptedDocument),
    "office.docx": (lambda: made.compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}), EncryptedDocument),
    "rights.epub": (lambda: locked_book("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), EncryptedDocument),
    "archive.zip": (lambda: encrypted_zip(made.zipped({"a.txt": b"x"})), UnsupportedFormat),
    "half.docx": (lambda: made.word()[:5000], DamagedDocument),
    "entities.docx": (lambda: made.changed(made.word(), "word/document.xml", lambda _: ENTITIES), DamagedDocument),
    "torn.pptx": (lambda: made.changed(made.slides("x"), "ppt/slides/slide1.xml", lambda x: x[:300]), DamagedDocument),
    "nonsense.pdf": (lambda: b"%PDF-1.7 nonsense", DamagedDocument),
}


@pytest.mark.parametrize("name", REASONS)
def test_each_has_the_reason_that_is_its_own(name: str) -> None:
    make, reason = REASONS[name]
    content = make()
    with pytest.raises(DocumentError) as caught:
        extract(content, sniff(content, name))
    assert type(caught.value) is reason
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("algorithm", ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
def test_a_book_whose_fonts_alone_are_encrypted_is_read(algorithm: str) -> None:
    content = locked_book(algorithm)
    assert "Rent rises." in extract(content, sniff(content, "a.epub")).text
