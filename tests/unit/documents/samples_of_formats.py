"""One sample document for each row of the table of formats."""

import html
import io
from collections.abc import Callable

from odf.draw import Frame, Page, TextBox
from odf.opendocument import OpenDocumentPresentation, OpenDocumentSpreadsheet
from odf.style import MasterPage, PageLayout
from odf.table import Table, TableCell, TableRow
from odf.text import P

from tests.unit.documents import made_documents as made
from tests.unit.documents.made_documents import SENTENCE

_OOXML = "application/vnd.openxmlformats-officedocument"
_OASIS = "application/vnd.oasis.opendocument"


def make_presentation(*texts: str) -> bytes:
    """Return an ODP with one slide a text."""
    deck = OpenDocumentPresentation()
    out = io.BytesIO()
    layout = PageLayout(name="L")
    deck.automaticstyles.addElement(layout)
    master = MasterPage(name="M", pagelayoutname=layout)
    deck.masterstyles.addElement(master)
    for text in texts:
        page = Page(masterpagename=master)
        frame = Frame(width="5cm", height="1cm")
        box = TextBox()
        box.addElement(P(text=text))
        frame.addElement(box)
        page.addElement(frame)
        deck.presentation.addElement(page)
    deck.save(out)
    return out.getvalue()


def make_spreadsheet(*rows: tuple[str, ...]) -> bytes:
    """Return an ODS with one sheet of these rows of cells."""
    document = OpenDocumentSpreadsheet()
    out = io.BytesIO()
    table = Table(name="Rents")
    for cells in rows:
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(out)
    return out.getvalue()


SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "application/pdf": ("a.pdf", lambda: made.make_pdf("Page one", "Page two")),
    "application/rtf": ("a.rtf", lambda: rb"{\rtf1\ansi caf\'e9 {\b bold}\par next}"),
    "application/vnd.ms-outlook": ("a.msg", lambda: made.make_compound({"__properties_version1.0": b"x"})),
    "application/vnd.ms-powerpoint": ("a.ppt", lambda: made.make_compound({"PowerPoint Document": b"x"})),
    "application/msword": ("a.doc", lambda: made.make_compound({"WordDocument": b"x"})),
    "application/vnd.ms-excel": ("a.xls", lambda: made.make_compound({"Workbook": b"x"})),
    f"{_OASIS}.text": ("a.odt", made.make_open_document),
    f"{_OASIS}.spreadsheet": ("a.ods", lambda: make_spreadsheet(("Year", "Rent"), ("2024", "120"))),
    f"{_OASIS}.presentation": ("a.odp", lambda: make_presentation("Rents of the harbour")),
    f"{_OOXML}.wordprocessingml.document": ("a.docx", made.make_word),
    f"{_OOXML}.presentationml.presentation": ("a.pptx", lambda: made.make_slides("First", "Second")),
    f"{_OOXML}.spreadsheetml.sheet": ("a.xlsx", lambda: made.make_workbook(Rents=[["Year", "Rent"], [2024, 120]])),
    "application/epub+zip": ("a.epub", lambda: made.make_book(html.escape(SENTENCE))),
    "text/html": ("a.html", lambda: b"<!doctype html><title>T</title><p>one<p>two"),
    "application/xml": ("a.xml", lambda: b"<?xml version='1.0'?><rent>120</rent>"),
    "message/rfc822": ("a.eml", lambda: made.make_mail("Hello Bo", "plan.pdf")),
    "text/csv": ("a.csv", lambda: b"Year,Rent\n2024,120\n"),
    "text/tab-separated-values": ("a.tsv", lambda: b"Year\tRent\n2024\t120\n"),
    "application/json": ("a.json", lambda: b'{"rent": 120}'),
    "text/markdown": ("a.md", lambda: b"# Rents\n\nThe rent rises."),
    "text/plain": ("a.txt", lambda: b"The rent rises."),
}
"""Media type to file name and maker."""

ONLY_RECOGNISED = {
    "application/vnd.ms-outlook",
    "application/vnd.ms-powerpoint",
    "application/msword",
    "application/vnd.ms-excel",
}
"""No library of the tests writes these formats, so their samples can be recognised, but not read."""
