"""The writer of ODT."""

import io

from odf import dc, meta
from odf.element import Element
from odf.opendocument import OpenDocumentText
from odf.style import ParagraphProperties, Style, TextProperties
from odf.table import Table as OdfTable
from odf.table import TableCell, TableColumn, TableRow
from odf.text import H, List, ListItem, P

from tools.samples.archive import EPOCH, fixed_archive
from tools.samples.source import Bullets, Heading, PageBreak, Paragraph, Source, Table


def make_odt(source: Source) -> bytes:
    """Return the source as ODT, with headings as headings and tables as tables."""
    # odfpy keeps the XML namespaces of all documents of a process in a single dictionary. Without this line the bytes
    # of a document depend on the documents that the process wrote before.
    Element.namespaces.clear()
    document = OpenDocumentText()
    document.meta.addElement(dc.Title(text=source.title))
    document.meta.addElement(dc.Creator(text=source.author))
    document.meta.addElement(meta.CreationDate(text=EPOCH.isoformat()[:19]))
    broken = Style(name="OnNewPage", family="paragraph")
    broken.addElement(ParagraphProperties(breakbefore="page"))
    bold = Style(name="Head", family="paragraph")
    bold.addElement(TextProperties(fontweight="bold"))
    document.automaticstyles.addElement(broken)
    document.automaticstyles.addElement(bold)
    document.text.addElement(H(outlinelevel=1, text=source.title))
    for block in source.blocks:
        match block:
            case Heading(level, text):
                document.text.addElement(H(outlinelevel=level + 1, text=text))
            case Paragraph(text):
                document.text.addElement(P(text=text))
            case Bullets(items):
                bullets = List()
                for item in items:
                    entry = ListItem()
                    entry.addElement(P(text=item))
                    bullets.addElement(entry)
                document.text.addElement(bullets)
            case Table(rows):
                document.text.addElement(_table(rows, bold))
            case PageBreak():
                document.text.addElement(P(stylename=broken))
    result = io.BytesIO()
    document.write(result)
    return fixed_archive(result.getvalue())


def _table(rows: tuple[tuple[str, ...], ...], head_style: Style) -> OdfTable:
    table = OdfTable()
    table.addElement(TableColumn(numbercolumnsrepeated=len(rows[0])))
    for number, cells in enumerate(rows):
        row = TableRow()
        for text in cells:
            cell = TableCell()
            cell.addElement(P(text=text, **({"stylename": head_style} if number == 0 else {})))
            row.addElement(cell)
        table.addElement(row)
    return table
