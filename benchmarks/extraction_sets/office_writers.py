"""Writes a generated document as DOCX, PPTX, XLSX, ODT and ODS."""

import datetime as dt
import io
from typing import Any

import docx
import pptx
import xlsxwriter
from odf import dc, meta
from odf.opendocument import OpenDocument, OpenDocumentSpreadsheet, OpenDocumentText
from odf.table import Table as OdfTable
from odf.table import TableCell, TableRow
from odf.text import H, P
from pptx.util import Inches

from benchmarks.extraction_sets.truth import Heading, Table, Truth, words_of


def _naive(created: str) -> dt.datetime:
    """Return a time without a time zone; the libraries write such a time as UTC."""
    return dt.datetime.fromisoformat(created).replace(tzinfo=None)


def make_docx(truth: Truth) -> bytes:
    """Return the document as DOCX."""
    document = docx.Document()
    out = io.BytesIO()
    _set_properties(document.core_properties, truth)
    for block in truth.blocks:
        if isinstance(block, Heading):
            document.add_heading(block.text, block.level)
        elif isinstance(block, Table):
            table = document.add_table(len(block.rows), len(block.rows[0]))
            for row, cells in zip(table.rows, block.rows, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
        else:
            document.add_paragraph(block)
    document.save(out)
    return out.getvalue()


def _set_properties(properties: Any, truth: Truth) -> None:
    """Set the core properties of a python-docx or python-pptx document."""
    properties.title = truth.title
    properties.author = "; ".join(truth.authors)
    properties.language = "en-GB"
    properties.created = _naive(truth.created)


def make_pptx(truth: Truth) -> bytes:
    """Return the document as PPTX, a slide for each page; headings of level 2 become plain text."""
    deck = pptx.Presentation()
    out = io.BytesIO()
    _set_properties(deck.core_properties, truth)
    for page in truth.pages:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        for number, block in enumerate(page):
            at = (Inches(0.5), Inches(1 + number), Inches(9), Inches(1))
            if isinstance(block, Table):
                table = slide.shapes.add_table(len(block.rows), len(block.rows[0]), *at).table
                for y, cells in enumerate(block.rows):
                    for x, text in enumerate(cells):
                        table.cell(y, x).text = text
            elif isinstance(block, Heading) and block.level == 1:
                slide.shapes.title.text = block.text
            else:
                slide.shapes.add_textbox(*at).text_frame.text = words_of(block)
    deck.save(out)
    return out.getvalue()


def make_xlsx(truth: Truth) -> bytes:
    """Return the tables of the document as XLSX, with a sheet for each page."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        created = _naive(truth.created)
        book.set_properties({"title": truth.title, "author": "; ".join(truth.authors), "created": created})
        for name, page in zip(truth.names, truth.pages, strict=True):
            sheet = book.add_worksheet(name)
            for block in page:
                if isinstance(block, Table):
                    for number, row in enumerate(block.rows):
                        sheet.write_row(number, 0, row)
    return out.getvalue()


def make_odt(truth: Truth) -> bytes:
    """Return the document as ODT."""
    document = OpenDocumentText()
    for block in truth.blocks:
        if isinstance(block, Heading):
            document.text.addElement(H(outlinelevel=block.level, text=block.text))
        elif isinstance(block, Table):
            document.text.addElement(_odf_table("Table", block))
        else:
            document.text.addElement(P(text=block))
    return _make_odf(document, truth)


def make_ods(truth: Truth) -> bytes:
    """Return the tables of the document as ODS, with the sheets of `make_xlsx`."""
    document = OpenDocumentSpreadsheet()
    for name, page in zip(truth.names, truth.pages, strict=True):
        for block in page:
            if isinstance(block, Table):
                document.spreadsheet.addElement(_odf_table(name, block))
    return _make_odf(document, truth)


def _odf_table(name: str, block: Table) -> OdfTable:
    table = OdfTable(name=name)
    for cells in block.rows:
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    return table


def _make_odf(document: OpenDocument, truth: Truth) -> bytes:
    out = io.BytesIO()
    document.meta.addElement(dc.Title(text=truth.title))
    document.meta.addElement(meta.InitialCreator(text="; ".join(truth.authors)))
    document.meta.addElement(meta.CreationDate(text=truth.created))
    document.meta.addElement(dc.Language(text="en-GB"))
    document.save(out)
    return out.getvalue()
