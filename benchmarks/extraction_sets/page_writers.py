"""Writes a generated document as PDF, HTML, EPUB, RTF, mail, Markdown, CSV and plain text."""

import csv
import datetime as dt
import io
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path

import matplotlib as mpl
from ebooklib import epub
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph
from reportlab.platypus import Table as PdfTable

from benchmarks.extraction_sets.truth import Block, Heading, Table, Truth

_FONT = "DejaVuSans"
_MARGIN = 50
_GAP = 20


def make_pdf(truth: Truth, columns: int = 1) -> bytes:
    """Return the document as PDF with bookmarks, in a font that has all its letters.

    Args:
        truth: the document; each of its pages becomes a PDF page.
        columns: number of columns, 1 or 2.
    """
    if _FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(_FONT, Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{_FONT}.ttf"))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, lang="en-GB")
    canvas.setTitle(truth.title)
    canvas.setAuthor("; ".join(truth.authors))
    for page in truth.pages:
        _draw(canvas, page, columns)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _draw(canvas: Canvas, page: tuple[Block, ...], columns: int) -> None:
    width = (A4[0] - 2 * _MARGIN - (columns - 1) * _GAP) / columns
    column = 0
    top = A4[1] - _MARGIN
    for block in page:
        size = 9 if columns > 1 else 11
        style = ParagraphStyle("s", fontName=_FONT, fontSize=size + 4 * isinstance(block, Heading), leading=size + 6)
        if isinstance(block, Table):
            flowable = PdfTable([[Paragraph(escape(cell), style) for cell in row] for row in block.rows], width / 4)
        else:
            flowable = Paragraph(escape(block.text if isinstance(block, Heading) else block), style)
        height = flowable.wrapOn(canvas, width, A4[1])[1]
        if top - height < _MARGIN and column + 1 < columns:
            column += 1
            top = A4[1] - _MARGIN
        left = _MARGIN + column * (width + _GAP)
        flowable.drawOn(canvas, left, top - height)
        if isinstance(block, Heading):
            key = f"{canvas.getPageNumber()} {block.text}"
            canvas.bookmarkPage(key)
            canvas.addOutlineEntry(block.text, key, block.level - 1)
        top -= height + 8


def make_two_column_pdf(truth: Truth) -> bytes:
    """Return the document as PDF with 2 columns."""
    return make_pdf(truth, columns=2)


def _element(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>\n"
    if isinstance(block, Table):
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in block.rows]
        return f"<table>\n{''.join(f'<tr>{row}</tr>' for row in rows)}</table>\n"
    return f"<p>{escape(block)}</p>\n"


def make_html(truth: Truth) -> bytes:
    """Return the document as HTML, with a style and a script that an extractor must skip."""
    metas = "".join(f'<meta name="author" content="{escape("; ".join(truth.authors))}">')
    metas += f'<meta property="article:published_time" content="{truth.created}">'
    return (
        f'<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>{escape(truth.title)}</title>{metas}'
        f"<style>p {{ color: red }}</style></head><body><script>no();</script>"
        f"{''.join(map(_element, truth.blocks))}</body></html>"
    ).encode()


def make_epub(truth: Truth) -> bytes:
    """Return the document as EPUB, a chapter for each page."""
    book = epub.EpubBook()
    out = io.BytesIO()
    book.set_identifier(truth.title)
    book.set_title(truth.title)
    book.set_language("en-GB")
    book.add_metadata("DC", "date", truth.created)
    for author in truth.authors:
        book.add_author(author)
    chapters = []
    for number, page in enumerate(truth.pages):
        chapter = epub.EpubHtml(title=truth.names[number], file_name=f"{number}.xhtml")
        chapter.content = "".join(map(_element, page))
        book.add_item(chapter)
        chapters.append(chapter)
    book.spine = chapters
    book.toc = tuple(chapters)
    book.add_item(epub.EpubNcx())
    epub.write_epub(out, book)
    return out.getvalue()


def make_rtf(truth: Truth) -> bytes:
    """Return the document as RTF."""
    moment = dt.datetime.fromisoformat(truth.created)
    time = rf"\yr{moment.year}\mo{moment.month}\dy{moment.day}\hr{moment.hour}\min{moment.minute}"
    info = rf"{{\title {_rtf(truth.title)}}}{{\author {_rtf('; '.join(truth.authors))}}}{{\creatim{time}}}"
    parts = [rf"{{\rtf1\ansi\ansicpg1252\deff0{{\info{info}}}"]
    for block in truth.blocks:
        if isinstance(block, Heading):
            parts.append(rf"\pard\outlinelevel{block.level - 1}\b {_rtf(block.text)}\b0\par")
        elif isinstance(block, Table):
            for row in block.rows:
                ends = "".join(rf"\cellx{2000 * (number + 1)}" for number in range(len(row)))
                parts.append(rf"\trowd{ends}" + "".join(rf"\pard\intbl {_rtf(cell)}\cell" for cell in row) + r"\row")
        else:
            parts.append(rf"\pard {_rtf(block)}\par")
    return ("\n".join(parts) + "}").encode("ascii")


def _rtf(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("{", r"\{").replace("}", r"\}")
    return "".join(char if char.isascii() else rf"\u{ord(char)}?" for char in escaped)


def make_mail(truth: Truth) -> bytes:
    """Return the document as a mail that has an HTML part only."""
    message = EmailMessage()
    message["From"] = ", ".join(f'"{author}" <a{number}@x.example>' for number, author in enumerate(truth.authors))
    message["To"] = "bo@acme.example"
    message["Subject"] = truth.title
    message["Date"] = format_datetime(dt.datetime.fromisoformat(truth.created))
    message.set_content(make_html(truth).decode(), subtype="html", cte="quoted-printable")
    return bytes(message)


def make_markdown(truth: Truth) -> bytes:
    """Return the document as Markdown with YAML front matter."""
    matter = f"---\ntitle: {truth.title}\nauthor: {'; '.join(truth.authors)}\ndate: {truth.created}\nlang: en\n---\n"
    parts = []
    for block in truth.blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.level} {block.text}")
        elif isinstance(block, Table):
            rows = ["| " + " | ".join(row) + " |" for row in block.rows]
            parts.append("\n".join([rows[0], "|" + "---|" * len(block.rows[0]), *rows[1:]]))
        else:
            parts.append(block)
    return (matter + "\n\n".join(parts)).encode()


def make_csv(truth: Truth) -> bytes:
    """Return the first table as CSV in UTF-16 with semicolons.

    Many European spreadsheets export this form.
    """
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(truth.tables[0].rows)
    return out.getvalue().encode("utf-16")


def make_text(truth: Truth) -> bytes:
    """Return the text in UTF-8 with a byte order mark and CRLF line ends."""
    return truth.text.replace("\n", "\r\n").encode("utf-8-sig")
