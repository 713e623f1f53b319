"""What each format's extractor brings out, whatever the file is called."""

import html
import struct
from collections.abc import Callable

import pytest

from perdure.documents import sniffing
from perdure.documents.extraction import Extracted, extract
from perdure.documents.extraction.html import MAX_DEPTH
from perdure.documents.quality import quality_score
from perdure.documents.sniffing import sniff
from perdure.errors import DamagedDocument, EncryptedDocument, NoTextExtracted, UnsupportedFormat
from tests.unit.documents import made_documents as made
from tests.unit.documents.made_documents import SENTENCE

MAKERS: dict[str, Callable[[], bytes]] = {
    sniffing.PDF: lambda: made.pdf("Page one", "Page two"),
    sniffing.DOCX: made.word,
    sniffing.PPTX: lambda: made.slides("First & foremost", "Second"),
    sniffing.XLSX: lambda: made.workbook(Ducks=[["Year", "Ducks & geese"], [2019, 120.5]], Notes=[["beta"]]),
    sniffing.ODT: made.open_document,
    sniffing.EPUB: lambda: made.book(html.escape(SENTENCE)),
    sniffing.RTF: lambda: rb"{\rtf1\ansi caf\'e9 {\b bold}\par next}",
    sniffing.HTML: lambda: b"<!DOCTYPE html><title>T</title><p>one<p>two<script>no()</script>",
    sniffing.EML: lambda: made.mail("Hello Bo", "plan.pdf"),
    sniffing.PLAIN: lambda: b"just words",
}


def _read(content: bytes, name: str = "x") -> Extracted:
    return extract(content, sniff(content, name))


@pytest.mark.parametrize("media_type", MAKERS)
@pytest.mark.parametrize("extension", ["", ".pdf", ".docx", ".txt", ".jpg"])
def test_content_decides_what_a_file_is(media_type: str, extension: str) -> None:
    assert sniff(MAKERS[media_type](), f"name{extension}") == media_type


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.csv", b"a,b\n1,2", sniffing.CSV),
        ("a.tsv", b"a\tb", sniffing.TSV),
        ("a.md", b"# Title\n<div>", sniffing.MARKDOWN),
        ("a.json", b"{}", sniffing.JSON),
        ("a.txt", b"<?xml version='1.0'?><a/>", sniffing.XML),
        ("a.csv", b"<!doctype html><p>x", sniffing.HTML),
        ("MZ.txt", b"MZ is how this sentence begins", sniffing.PLAIN),
    ],
)
def test_names_decide_only_between_texts(name: str, content: bytes, media_type: str) -> None:
    assert sniff(content, name) == media_type


def test_an_embedded_document_does_not_make_the_container_one() -> None:
    mail = made.compound(
        {"__properties_version1.0": b"x", "__substg1.0_37010102": made.compound({"WordDocument": b""})}
    )
    assert sniff(mail, "a.doc") == sniffing.MSG
    sheet = made.compound({"Workbook": "WordDocument".encode("utf-16-le") + b"\0\0"})
    assert sniff(sheet, "a.doc") == sniffing.XLS


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
def test_passwords_of_old_office_files_are_noticed(streams: dict[str, bytes], *, encrypted: bool) -> None:
    content = made.compound(streams)
    if encrypted:
        with pytest.raises(EncryptedDocument, match="password"):
            sniff(content, "a")
    else:
        sniff(content, "a")


@pytest.mark.parametrize("maker", [made.word, made.open_document, lambda: made.book(html.escape(SENTENCE))])
def test_special_characters_survive(maker: Callable[[], bytes]) -> None:
    assert SENTENCE in _read(maker()).text


def test_numeric_references_in_word_survive() -> None:
    content = made.changed(
        made.word(),
        "word/document.xml",
        lambda xml: xml.replace("\u2019".encode(), b"&#8217;").replace(b"5", b"&#x35;"),
    )
    assert SENTENCE in _read(content).text


def test_pages_slides_and_sheets_know_where_they_begin() -> None:
    for content, starts in (
        (made.pdf("Page one", "", "Page three"), ["Page one", "\n", "Page three"]),
        (made.slides("First", "Second"), ["First", "Second"]),
        (
            made.workbook(Ducks=[["Year"], [2019]], Empty=[], Notes=[["beta"]]),
            ["Ducks\nYear\n2019", "Empty", "Notes\nbeta"],
        ),
    ):
        read = _read(content)
        assert len(read.page_offsets) == len(starts)
        for offset, start in zip(read.page_offsets, starts, strict=True):
            assert read.text[offset:].startswith(start)


def test_cells_are_separated_by_tabs_and_rows_by_lines() -> None:
    assert "Year\tDucks & geese\n2019\t120.5" in _read(MAKERS[sniffing.XLSX]()).text
    assert _read(b'a;b c\n1;"x\ny"\n', "t.csv").text == "a\tb c\n1\tx y"
    assert _read("a\tb\nÜ\td\n".encode("utf-16"), "t.tsv").text == "a\tb\nÜ\td"


def test_html_gives_what_a_reader_sees() -> None:
    read = _read(
        b"<!doctype html><html lang=en><head><title>The T</title><style>p{}</style></head><body><p>one\ntwo</p>"
        b"<ul><li>a</li><li>b</li></ul><table><tr><td>1<td>2</table><img alt='a duck'><!-- no --></body></html>"
    )
    assert read.title == "The T"
    assert read.properties == {"language": "en"}
    assert read.text.split() == ["one", "two", "a", "b", "1", "2", "a", "duck"]


@pytest.mark.parametrize("kind", ["page", "mail"])
def test_nesting_beyond_sense_is_read_flat_in_little_time(kind: str) -> None:
    markup = b"<div>" * 100_000 + b"<style>no{}</style>the &amp; bottom"
    headers = b"From: a@b\nTo: c@d\nSubject: s\nContent-Type: text/html\n\n"
    read = _read(markup if kind == "page" else headers + markup)
    assert read.text.endswith("the & bottom")
    assert "no{}" not in read.text
    assert str(MAX_DEPTH) in read.warnings[0]


def test_a_long_page_of_unclosed_paragraphs_is_not_taken_for_nesting() -> None:
    assert _read(b"<html>" + b"<p>word<li><dd><option>" * 5000).warnings == ()


def test_mail_gives_headers_bodies_and_names_of_attachments() -> None:
    read = _read(made.mail("Hello Bo", "plan.pdf", "Größe.xlsx"))
    assert read.title == "Größe"
    for line in (
        "From: Clara <clara@harbour.example>",
        "Hello Bo",
        "[Attachment: plan.pdf]",
        "[Attachment: Größe.xlsx]",
    ):
        assert line in read.text


def test_mail_of_too_many_parts_says_what_it_left_out() -> None:
    part = b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    content = (
        b"From: a@b\r\nTo: c@d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 3000
    )
    assert any("left out" in warning for warning in _read(content).warnings)


@pytest.mark.parametrize("name", made.encodings())
def test_text_is_decoded_however_it_was_written(name: str) -> None:
    read = _read(made.encodings()[name], name)
    assert "Die Größe der Straße in Köln kostet fünf Euro, schrieb Frau Müller über das Gebäude.\n" in read.text
    assert "\ufeff" not in read.text
    assert "\r" not in read.text


def test_a_damaged_pdf_is_repaired_and_says_so() -> None:
    content = made.pdf("One", "Two")
    read = _read(content[: content.index(b"xref")])
    assert "One" in read.text
    assert "repaired" in read.warnings[0]


def test_a_pdf_that_only_forbids_changes_is_read() -> None:
    assert _read(made.encrypted_pdf("")).text.strip() == "A secret"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (made.encrypted_pdf("secret"), EncryptedDocument),
        (made.pdf(""), NoTextExtracted),
        (made.workbook(Empty=[]), NoTextExtracted),
        (made.word(""), NoTextExtracted),
        (b"  \n", NoTextExtracted),
        (b"%PDF-1.7 nonsense", DamagedDocument),
        (made.word()[:3000], DamagedDocument),
        (made.zipped({"a.txt": b"x"}), UnsupportedFormat),
        (b"\x89PNG\r\n\x1a\n\0\0\0", UnsupportedFormat),
        (bytes(range(256)) * 10, UnsupportedFormat),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        _read(content)
    assert str(caught.value).endswith(".")


def test_quality_falls_with_what_went_wrong() -> None:
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
