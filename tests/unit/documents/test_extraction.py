"""Documents are recognised by their content, and their text is extracted whole."""

import html
import struct
from collections.abc import Callable

import pytest

from perdure.documents.extraction import Extracted, extract
from perdure.documents.extraction.html import MAX_DEPTH
from perdure.documents.quality import quality_score
from perdure.documents.sniffing import sniff
from perdure.errors import DamagedDocument, EncryptedDocument, NoTextExtracted, UnsupportedFormat
from tests.unit.documents import made_documents as made
from tests.unit.documents.made_documents import SENTENCE

_OOXML = "application/vnd.openxmlformats-officedocument"
DOCX = f"{_OOXML}.wordprocessingml.document"
PPTX = f"{_OOXML}.presentationml.presentation"
XLSX = f"{_OOXML}.spreadsheetml.sheet"
MAKERS: dict[str, Callable[[], bytes]] = {
    "application/pdf": lambda: made.make_pdf("Page one", "Page two"),
    DOCX: made.make_word,
    PPTX: lambda: made.make_slides("First & foremost", "Second"),
    XLSX: lambda: made.make_workbook(Ducks=[["Year", "Ducks & geese"], [2019, 120.5]], Notes=[["beta"]]),
    "application/vnd.oasis.opendocument.text": made.make_open_document,
    "application/epub+zip": lambda: made.make_book(html.escape(SENTENCE)),
    "application/rtf": lambda: rb"{\rtf1\ansi caf\'e9 {\b bold}\par next}",
    "text/html": lambda: b"<!DOCTYPE html><title>T</title><p>one<p>two<script>no()</script>",
    "message/rfc822": lambda: made.make_mail("Hello Bo", "plan.pdf"),
    "text/plain": lambda: b"just words",
}


def _read(content: bytes, name: str = "x") -> Extracted:
    return extract(content, sniff(content, name))


@pytest.mark.parametrize("media_type", MAKERS)
@pytest.mark.parametrize("extension", ["", ".pdf", ".docx", ".txt", ".jpg"])
def test_content_decides_the_format_whatever_the_extension(media_type: str, extension: str) -> None:
    assert sniff(MAKERS[media_type](), f"name{extension}") == media_type


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.csv", b"a,b\n1,2", "text/csv"),
        ("a.tsv", b"a\tb", "text/tab-separated-values"),
        ("a.md", b"# Title\n<div>", "text/markdown"),
        ("a.json", b"{}", "application/json"),
        ("a.txt", b"<?xml version='1.0'?><a/>", "application/xml"),
        ("a.csv", b"<!doctype html><p>x", "text/html"),
        ("MZ.txt", b"MZ is how this sentence begins", "text/plain"),
    ],
)
def test_extension_decides_only_between_kinds_of_text(name: str, content: bytes, media_type: str) -> None:
    assert sniff(content, name) == media_type


def test_embedded_document_does_not_decide_the_format() -> None:
    mail = made.make_compound(
        {"__properties_version1.0": b"x", "__substg1.0_37010102": made.make_compound({"WordDocument": b""})}
    )
    assert sniff(mail, "a.doc") == "application/vnd.ms-outlook"
    sheet = made.make_compound({"Workbook": "WordDocument".encode("utf-16-le") + b"\0\0"})
    assert sniff(sheet, "a.doc") == "application/vnd.ms-excel"


@pytest.mark.parametrize(
    ("streams", "encrypted"),
    [
        ({"WordDocument": b"\xec\xa5\xc1\0" + bytes(6) + b"\0\1"}, True),
        ({"WordDocument": b"\xec\xa5\xc1\0" + bytes(8)}, False),
        ({"Workbook": struct.pack("<HHHHHH", 0x809, 2, 0, 0x2F, 2, 0)}, True),
        ({"Workbook": struct.pack("<HHHHHH", 0x809, 2, 0x2F, 0x42, 2, 0)}, False),
        ({"Current User": bytes(12) + b"\xdf\xc4\xd1\xf3", "PowerPoint Document": b""}, True),
        ({"Current User": bytes(12) + b"\x5f\xc0\x91\xe3", "PowerPoint Document": b""}, False),
        ({"EncryptedPackage": b"x"}, True),
    ],
)
def test_password_of_an_old_office_file_is_recognised(streams: dict[str, bytes], *, encrypted: bool) -> None:
    content = made.make_compound(streams)
    if encrypted:
        with pytest.raises(EncryptedDocument, match="password"):
            sniff(content, "a")
    else:
        sniff(content, "a")


@pytest.mark.parametrize(
    "maker", [made.make_word, made.make_open_document, lambda: made.make_book(html.escape(SENTENCE))]
)
def test_special_characters_are_kept(maker: Callable[[], bytes]) -> None:
    assert SENTENCE in _read(maker()).text


def test_numeric_references_in_word_are_kept() -> None:
    content = made.change_member(
        made.make_word(),
        "word/document.xml",
        lambda xml: xml.replace("\u2019".encode(), b"&#8217;").replace(b"5", b"&#x35;"),
    )
    assert SENTENCE in _read(content).text


def test_pages_slides_and_sheets_have_their_offsets() -> None:
    for content, starts in (
        (made.make_pdf("Page one", "", "Page three"), ["Page one", "\n", "Page three"]),
        (made.make_slides("First", "Second"), ["First", "Second"]),
        (
            made.make_workbook(Ducks=[["Year"], [2019]], Empty=[], Notes=[["beta"]]),
            ["Ducks\nYear\n2019", "Empty", "Notes\nbeta"],
        ),
    ):
        read = _read(content)
        assert len(read.page_offsets) == len(starts)
        for offset, start in zip(read.page_offsets, starts, strict=True):
            assert read.text[offset:].startswith(start)


def test_cells_are_separated_by_tabs_and_rows_by_lines() -> None:
    assert "Year\tDucks & geese\n2019\t120.5" in _read(MAKERS[XLSX]()).text
    assert _read(b'a;b c\n1;"x\ny"\n', "t.csv").text == "a\tb c\n1\tx y"
    assert _read("a\tb\nÜ\td\n".encode("utf-16"), "t.tsv").text == "a\tb\nÜ\td"


def test_html_gives_only_the_visible_text() -> None:
    read = _read(
        b"<!doctype html><html lang=en><head><title>The T</title><style>p{}</style></head><body><p>one\ntwo</p>"
        b"<ul><li>a</li><li>b</li></ul><table><tr><td>1<td>2</table><img alt='a duck'><!-- no --></body></html>"
    )
    assert read.title == "The T"
    assert read.properties == {"language": "en"}
    assert read.text.split() == ["one", "two", "a", "b", "1", "2", "a", "duck"]


@pytest.mark.parametrize("kind", ["page", "mail"])
def test_deeply_nested_markup_is_read_without_structure(kind: str) -> None:
    markup = b"<div>" * 100_000 + b"<style>no{}</style>the &amp; bottom"
    headers = b"From: a@b\nTo: c@d\nSubject: s\nContent-Type: text/html\n\n"
    read = _read(markup if kind == "page" else headers + markup)
    assert read.text.endswith("the & bottom")
    assert "no{}" not in read.text
    assert str(MAX_DEPTH) in read.warnings[0]


def test_unclosed_paragraphs_are_not_counted_as_nesting() -> None:
    assert _read(b"<html>" + b"<p>word<li><dd><option>" * 5000).warnings == ()


def test_mail_gives_headers_bodies_and_attachment_names() -> None:
    read = _read(made.make_mail("Hello Bo", "plan.pdf", "Größe.xlsx"))
    assert read.title == "Größe"
    for line in (
        "From: Clara <clara@harbour.example>",
        "Hello Bo",
        "[Attachment: plan.pdf]",
        "[Attachment: Größe.xlsx]",
    ):
        assert line in read.text


def test_mail_of_too_many_parts_has_a_warning() -> None:
    part = b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    content = (
        b"From: a@b\r\nTo: c@d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 3000
    )
    assert any("left out" in warning for warning in _read(content).warnings)


def test_mail_nested_too_deeply_has_a_warning() -> None:
    outer = b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
    inner = b"From: a@b\r\nContent-Type: text/plain\r\n\r\nthe bottom\r\n"
    read = _read(b"From: a@b\r\nTo: c@d\r\n" + outer * 60 + inner)
    assert any("nested more than 50 deep were left out" in warning for warning in read.warnings)
    assert "the bottom" not in read.text


@pytest.mark.parametrize("name", made.make_encoded_texts())
def test_text_is_decoded_from_every_encoding(name: str) -> None:
    read = _read(made.make_encoded_texts()[name], name)
    assert "Die Größe der Straße in Köln kostet fünf Euro, schrieb Frau Müller über das Gebäude.\n" in read.text
    assert "\ufeff" not in read.text
    assert "\r" not in read.text


def test_damaged_pdf_is_repaired_with_a_warning() -> None:
    content = made.make_pdf("One", "Two")
    read = _read(content[: content.index(b"xref")])
    assert "One" in read.text
    assert "repaired" in read.warnings[0]


def test_pdf_that_only_forbids_changes_is_read() -> None:
    assert _read(made.make_encrypted_pdf("")).text.strip() == "A secret"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (made.make_encrypted_pdf("secret"), EncryptedDocument),
        (made.make_pdf(""), NoTextExtracted),
        (made.make_workbook(Empty=[]), NoTextExtracted),
        (made.make_word(""), NoTextExtracted),
        (b"  \n", NoTextExtracted),
        (b"%PDF-1.7 nonsense", DamagedDocument),
        (made.make_word()[:3000], DamagedDocument),
        (made.make_zip({"a.txt": b"x"}), UnsupportedFormat),
        (b"\x89PNG\r\n\x1a\n\0\0\0", UnsupportedFormat),
        (bytes(range(256)) * 10, UnsupportedFormat),
    ],
)
def test_unreadable_document_has_a_reason_in_a_sentence(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        _read(content)
    assert str(caught.value).endswith(".")


def test_quality_falls_with_each_loss() -> None:
    prose = "The harbour office wrote to every tenant about the new rent in plain words. " * 20
    good = quality_score(Extracted(prose))
    assert quality_score(Extracted("")) == quality_score(Extracted(" \n")) == 0.0
    assert good > 0.95
    for worse in (
        Extracted(prose, warnings=("Something was lost.",)),
        Extracted(prose.replace("e", "\ufffd")),
        Extracted(prose.replace("a", "\ue0a1")),
        Extracted(prose, page_offsets=(0, len(prose), len(prose), len(prose))),
        Extracted("xkcdq wrtzpsdf bgnmkl " * 50),
        Extracted("word"),
    ):
        assert 0.0 < quality_score(worse) < good
    assert all(
        round(quality_score(Extracted(prose[:size])), 3) == quality_score(Extracted(prose[:size])) for size in (5, 50)
    )
