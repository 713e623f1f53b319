"""The writers of DOCX and PPTX, based on the templates of their libraries."""

import io
from typing import Any

import docx
import pptx
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_BREAK
from docx.shared import Pt
from pptx.util import Inches
from pptx.util import Pt as SlidePt

from tools.samples.archive import EPOCH, fixed_archive
from tools.samples.source import Bullets, Heading, PageBreak, Paragraph, Source, Table

_TABLE_STYLE = "Light Grid Accent 1"
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)  # both libraries write naive times as UTC


def _set_properties(properties: Any, source: Source) -> None:
    """Set the core properties of a python-docx or python-pptx document."""
    properties.title = source.title
    properties.author = source.author
    properties.last_modified_by = source.author
    properties.created = _NAIVE_EPOCH
    properties.modified = _NAIVE_EPOCH


def make_docx(source: Source) -> bytes:
    """Return the source as DOCX, with headings as styles and tables as tables."""
    document = _slim_template()
    document.styles["Normal"].font.size = Pt(11)
    _set_properties(document.core_properties, source)
    document.add_heading(source.title, level=0)
    for block in source.blocks:
        match block:
            case Heading(level, text):
                document.add_heading(text, level=level)
            case Paragraph(text):
                document.add_paragraph(text)
            case Bullets(items):
                for item in items:
                    document.add_paragraph(item, style="List Bullet")
            case Table(rows):
                _docx_table(document, rows)
            case PageBreak():
                document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    result = io.BytesIO()
    document.save(result)
    return fixed_archive(result.getvalue())


def _slim_template() -> Document:
    """Return the library's template without unused table styles (800 KB uncompressed)."""
    document = docx.Document()
    for style in list(document.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in {"Normal Table", _TABLE_STYLE}:
            style.element.getparent().remove(style.element)
    for relation in [key for key, value in document.part.rels.items() if value.reltype.endswith("/stylesWithEffects")]:
        document.part.drop_rel(relation)
    return document


def _docx_table(document: Document, rows: tuple[tuple[str, ...], ...]) -> None:
    table = document.add_table(rows=len(rows), cols=len(rows[0]), style=_TABLE_STYLE)
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text


def make_pptx(source: Source) -> bytes:
    """Return the source as PPTX: a slide for each heading, paragraphs as speaker's notes."""
    deck = pptx.Presentation()
    _set_properties(deck.core_properties, source)
    cover = deck.slides.add_slide(deck.slide_layouts[0])
    cover.shapes.title.text = source.title
    cover.placeholders[1].text = str(source.header["subtitle"])
    slide = cover
    for block in source.blocks:
        match block:
            case Heading(_, text):
                slide = deck.slides.add_slide(deck.slide_layouts[5])
                slide.shapes.title.text = text
            case Bullets(items):
                frame = slide.shapes.add_textbox(Inches(0.6), Inches(1.6), Inches(8.8), Inches(3.2)).text_frame
                frame.word_wrap = True
                for position, item in enumerate(items):
                    paragraph = frame.paragraphs[0] if position == 0 else frame.add_paragraph()
                    paragraph.text = f"\N{BULLET} {item}"
                    paragraph.font.size = SlidePt(22)
                    paragraph.space_after = SlidePt(10)
            case Table(rows):
                _slide_table(slide, rows)
            case Paragraph(text):
                notes = slide.notes_slide.notes_text_frame
                notes.text = f"{notes.text}\n{text}".strip()
            case PageBreak():
                raise ValueError("the source of a slide deck has a page break; remove it")
    result = io.BytesIO()
    deck.save(result)
    return fixed_archive(result.getvalue())


def _slide_table(slide: "pptx.slide.Slide", rows: tuple[tuple[str, ...], ...]) -> None:
    height = Inches(0.42 * len(rows))
    table = slide.shapes.add_table(len(rows), len(rows[0]), Inches(0.6), Inches(1.6), Inches(8.8), height).table
    for y, cells in enumerate(rows):
        for x, text in enumerate(cells):
            table.cell(y, x).text = text
            for paragraph in table.cell(y, x).text_frame.paragraphs:
                paragraph.font.size = SlidePt(15)
