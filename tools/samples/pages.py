"""The writer of PDF, in standard fonts, which have Western European letters only."""

import io
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    ListFlowable,
    SimpleDocTemplate,
    Spacer,
)
from reportlab.platypus import (
    PageBreak as FlowablePageBreak,
)
from reportlab.platypus import (
    Paragraph as FlowableParagraph,
)
from reportlab.platypus import (
    Table as FlowableTable,
)

from tools.samples.source import Bullets, Heading, PageBreak, Paragraph, Source, Table

_STYLES = getSampleStyleSheet()
_BODY = ParagraphStyle(
    "story", parent=_STYLES["BodyText"], fontName="Times-Roman", fontSize=12.5, leading=19, spaceAfter=5
)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=10.5, leading=14, spaceAfter=0)


def make_pdf(source: Source) -> bytes:
    """Return the source as PDF in A4, with the title and the number on each page."""
    result = io.BytesIO()
    template = SimpleDocTemplate(
        result,
        pagesize=A4,
        leftMargin=26 * mm,
        rightMargin=26 * mm,
        topMargin=28 * mm,
        bottomMargin=24 * mm,
        title=source.title,
        author=source.author,
        invariant=1,  # writes no current time and no random id
        pageCompression=0,  # the output of deflate differs between builds of zlib
    )

    def decorate(canvas: Canvas, _: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(26 * mm, A4[1] - 16 * mm, source.title)
        canvas.drawRightString(A4[0] - 26 * mm, 14 * mm, f"Page {canvas.getPageNumber()}")

    flow: list[Flowable] = [FlowableParagraph(escape(source.title), _STYLES["Title"])]
    for block in source.blocks:
        flow.extend(_flowables(block))
    template.build(flow, onFirstPage=decorate, onLaterPages=decorate)
    return result.getvalue()


def _flowables(block: Heading | Paragraph | Bullets | Table | PageBreak) -> list[Flowable]:
    match block:
        case Heading(level, text):
            return [FlowableParagraph(escape(text), _STYLES[f"Heading{level + 1}"])]
        case Paragraph(text):
            return [FlowableParagraph(escape(text), _BODY)]
        case Bullets(items):
            return [ListFlowable([FlowableParagraph(escape(item), _BODY) for item in items], bulletType="bullet")]
        case Table(rows):
            table = FlowableTable(
                [[FlowableParagraph(escape(cell), _CELL) for cell in row] for row in rows], repeatRows=1
            )
            table.setStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
            return [Spacer(1, 3 * mm), table, Spacer(1, 4 * mm)]
        case PageBreak():
            return [FlowablePageBreak()]
