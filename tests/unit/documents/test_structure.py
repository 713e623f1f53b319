"""Headings and tables of each format have the offsets of their words in the text."""

import datetime as dt
import io
from collections.abc import Callable

import docx
import pptx
import pytest
from ebooklib import epub
from odf import dc, meta
from odf.opendocument import OpenDocumentText
from odf.table import Table, TableCell, TableRow
from odf.text import H, P
from reportlab.pdfgen.canvas import Canvas

from perdure.documents.extraction import Extracted, extract
from perdure.documents.extraction.metadata import metadata_of
from perdure.documents.extraction.structure import MAX_CELLS, bounded_sections, bounded_tables
from perdure.documents.sniffing import sniff
from tests.unit.documents import made_documents as made

HEADINGS = [(1, "Harbour & rents"), (2, "The east quay"), (1, "What follows")]
ROWS = [["Berth", "Tenant & Co"], ["7", "Finch <Ltd>"], ["12", "Łódź Lines"]]


def make_word() -> bytes:
    """Return a DOCX with the headings and the table."""
    document = docx.Document()
    out = io.BytesIO()
    properties = document.core_properties
    properties.author = "Clara Nowak; Bo Lind"
    properties.language = "en-GB"
    properties.created = dt.datetime(2024, 3, 5, 10, 0, 0)  # noqa: DTZ001 - OOXML writes UTC without a zone
    for level, heading in HEADINGS:
        document.add_paragraph(f"Before the words {heading} as a heading.")
        document.add_heading(heading, level)
    table = document.add_table(len(ROWS), 2)
    for row, cells in enumerate(ROWS):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell
    document.add_paragraph("The end.")
    document.save(out)
    return out.getvalue()


def make_open_document() -> bytes:
    """Return an ODT with the headings and the table."""
    document = OpenDocumentText()
    out = io.BytesIO()
    document.meta.addElement(dc.Title(text="Rents"))
    document.meta.addElement(meta.InitialCreator(text="Clara Nowak"))
    document.meta.addElement(meta.CreationDate(text="2024-03-05T10:00:00"))
    for level, heading in HEADINGS:
        document.text.addElement(P(text=f"Before the words {heading} as a heading."))
        document.text.addElement(H(outlinelevel=level, text=heading))
    table = Table(name="Berths")
    for cells in ROWS:
        row = TableRow()
        for cell in cells:
            element = TableCell()
            element.addElement(P(text=cell))
            row.addElement(element)
        table.addElement(row)
    document.text.addElement(table)
    document.save(out)
    return out.getvalue()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _markup() -> str:
    headings = "".join(
        f"<p>Before the words {_escaped(heading)} as a heading.</p><h{level}>\n {_escaped(heading)}</h{level}>"
        for level, heading in HEADINGS
    )
    rows = "".join(f"<tr>{''.join(f'<td>{_escaped(cell)}</td>' for cell in row)}</tr>" for row in ROWS)
    return f"{headings}<table>\n{rows}</table><div>The end</div>."


def make_page() -> bytes:
    """Return an HTML page with the headings and the table."""
    return f"<!doctype html><html lang='en-GB'><title>Rents</title><body>{_markup()}".encode()


def make_book() -> bytes:
    """Return an EPUB with the headings and the table."""
    made_book = epub.EpubBook()
    out = io.BytesIO()
    made_book.set_identifier("made")
    made_book.set_title("Rents")
    chapter = epub.EpubHtml(title="One", file_name="one.xhtml")
    chapter.content = _markup()
    made_book.add_item(chapter)
    made_book.spine = [chapter]
    made_book.add_item(epub.EpubNcx())
    epub.write_epub(out, made_book)
    return out.getvalue()


def make_mail() -> bytes:
    """Return a mail whose HTML body has the headings and the table."""
    return b"From: a@b.example\nTo: c@d.example\nSubject: s\nContent-Type: text/html; charset=utf-8\n\n" + make_page()


def make_markdown() -> bytes:
    """Return Markdown with the headings and the table, and a heading within code."""
    headings = "\n\n".join(
        f"Before the words {heading} as a heading.\n\n{'#' * level} {heading}" for level, heading in HEADINGS
    )
    bars = ["| " + " | ".join(row) + " |" for row in ROWS]
    return f"{headings}\n\n```\n# no heading\n```\n\n{bars[0]}\n|---|:-:|\n{bars[1]}\n{bars[2]}\n".encode()


WITH_HEADINGS_AND_TABLE: dict[str, Callable[[], bytes]] = {
    "a.docx": make_word,
    "a.odt": make_open_document,
    "a.html": make_page,
    "a.epub": make_book,
    "a.eml": make_mail,
    "a.md": make_markdown,
}


def read(content: bytes, name: str = "x") -> Extracted:
    """Return what the extractor of the sniffed format finds."""
    return extract(content, sniff(content, name))


@pytest.mark.parametrize("name", WITH_HEADINGS_AND_TABLE)
def test_heading_has_its_level_and_its_offset(name: str) -> None:
    extracted = read(WITH_HEADINGS_AND_TABLE[name](), name)
    assert [(section.level, section.heading) for section in extracted.sections] == HEADINGS
    for section in extracted.sections:
        line = extracted.text[section.offset :].lstrip("# ")
        assert line.startswith(section.heading)
        assert extracted.text[section.offset - 2 : section.offset].strip() == ""


@pytest.mark.parametrize("name", WITH_HEADINGS_AND_TABLE)
def test_table_has_its_cells_and_its_offsets(name: str) -> None:
    extracted = read(WITH_HEADINGS_AND_TABLE[name](), name)
    (table,) = extracted.tables
    assert [list(row) for row in table.rows] == ROWS
    assert not table.cut
    written = extracted.text[table.start : table.end]
    assert written.startswith(("Berth", "| Berth"))
    assert written.rstrip("| ").endswith("Łódź Lines")
    if name != "a.md":
        assert written == "\n".join("\t".join(row) for row in ROWS)


def test_sheet_is_a_section_with_its_table_on_its_page() -> None:
    extracted = read(
        made.make_workbook(Berths=[list(row) for row in ROWS], Empty=[], Rents=[["Year", "Rent"], [2019, 120.5]])
    )
    assert [section.heading for section in extracted.sections] == ["Berths", "Empty", "Rents"]
    assert [table.page for table in extracted.tables] == [1, 3]
    assert [list(row) for row in extracted.tables[0].rows] == ROWS
    for table in extracted.tables:
        assert extracted.text[table.start : table.end] == "\n".join("\t".join(row) for row in table.rows)


def test_slide_has_its_title_and_table() -> None:
    presentation = pptx.Presentation()
    out = io.BytesIO()
    for title in ("Rents", "Berths"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = title
        slide.shapes.add_textbox(0, 0, 10, 10).text_frame.text = "Aside"
    shape = slide.shapes.add_table(3, 2, 0, 0, 100, 100).table
    for row, cells in enumerate(ROWS):
        for column, cell in enumerate(cells):
            shape.cell(row, column).text = cell
    presentation.save(out)
    extracted = read(out.getvalue())
    assert [
        (section.heading, extracted.text[section.offset :].startswith(section.heading))
        for section in extracted.sections
    ] == [
        ("Rents", True),
        ("Berths", True),
    ]
    (table,) = extracted.tables
    assert ([list(row) for row in table.rows], table.page) == (ROWS, 2)
    assert extracted.text[table.start : table.end] == "\n".join("\t".join(row) for row in ROWS)


def test_csv_is_one_table() -> None:
    extracted = read(b'Berth,Tenant\n7,"Finch, Ltd"\n', "t.csv")
    assert extracted.tables[0].rows == (("Berth", "Tenant"), ("7", "Finch, Ltd"))
    assert (extracted.tables[0].start, extracted.tables[0].end) == (0, len(extracted.text))


def test_bookmarks_of_a_pdf_are_sections() -> None:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for number, (level, heading) in enumerate(HEADINGS):
        canvas.drawString(72, 720, f"Page {number}")
        canvas.drawString(72, 600, heading)
        canvas.bookmarkPage(heading)
        canvas.addOutlineEntry(heading, heading, level - 1)
        canvas.showPage()
    canvas.save()
    extracted = read(out.getvalue())
    assert [(section.level, section.heading) for section in extracted.sections] == HEADINGS
    assert all(extracted.text[section.offset :].startswith(section.heading) for section in extracted.sections)


def test_html_layout_tables_are_left_out_and_spans_are_filled() -> None:
    nested = "<table><tr><td>a<td><table><tr><td>1<td>2<tr><td>3<td>4</table></table>"
    assert [table.rows for table in read(f"<html>{nested}".encode()).tables] == [(("1", "2"), ("3", "4"))]
    spans = "<table><tr><td rowspan=2>a<td colspan=2>b<tr><td>c<td>d<tr><td>e<td>f<td>g</table>"
    assert read(f"<html>{spans}".encode()).tables[0].rows == (("a", "b", ""), ("", "c", "d"), ("e", "f", "g"))
    bomb = "<table>" + "<tr><td colspan=1000 rowspan=1000>a" * 5000 + "</table>"
    (table,) = read(f"<html>{bomb}".encode()).tables
    assert table.cut
    assert sum(map(len, table.rows)) <= 2 * MAX_CELLS


def test_html_blocks_separate_words_and_keep_preformatted_lines() -> None:
    assert read(b"<html><div>a</div>b<p>c</p>d<br><br>e").text == "a\n\nb\n\nc\n\nd\n\ne"
    assert read(b"<html>x<pre>one\n  two</pre>y").text == "x\n\none\n  two\n\ny"


def test_markdown_has_front_matter_and_underlined_headings() -> None:
    extracted = read(
        b"---\ntitle: The T\nauthor: 'A B'\ndate: 2024-03-05\n---\nOne\n===\ntext\n\nTwo\n---\n- a\n---\n", "a.md"
    )
    assert extracted.title == "The T"
    assert [(section.level, section.heading) for section in extracted.sections] == [(1, "One"), (2, "Two")]
    assert metadata_of(extracted.properties, "").created == "2024-03-05"


def test_headings_and_tables_are_bounded() -> None:
    huge = [["x"] * 100] * (MAX_CELLS // 100 + 1)
    rows = "\n".join(",".join(row) for row in huge).encode()
    (table,) = bounded_tables(read(rows, "t.csv").tables, str)
    assert table.cut
    assert sum(map(len, table.rows)) <= MAX_CELLS
    assert bounded_sections(read(b"# \n# a\n" + b"# " + b"x" * 9000, "a.md").sections, str)[-1].heading == "x" * 300


def test_metadata_of_word_and_mail_has_one_form() -> None:
    of_word = metadata_of(read(make_word()).properties, "")
    assert of_word.authors == ("Clara Nowak", "Bo Lind")
    assert (of_word.created, of_word.language) == ("2024-03-05T10:00:00Z", "en")
    of_mail = metadata_of(read(made.make_mail("Hello Bo")).properties, "")
    assert (of_mail.authors, of_mail.created) == (("Clara",), "2024-03-05T10:00:00Z")
    assert sniff(made.make_mail("Hello Bo"), "x") == "message/rfc822"
