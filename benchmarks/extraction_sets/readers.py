"""Independent readers of the same formats, whose text is compared with Perdure's."""

import io
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

import docx
import lxml.html
import pptx
from ebooklib import ITEM_DOCUMENT, epub
from odf import teletype, text
from odf.opendocument import load

_READ_SECONDS = 60
_SHEET = re.compile(r"xl/worksheets/sheet\d+\.xml")


def pdftotext(content: bytes) -> str:
    """Return the text of a PDF by poppler's pdftotext."""
    done = subprocess.run(
        ["pdftotext", "-enc", "UTF-8", "-", "-"],  # noqa: S607 - found on PATH, because its folder differs between systems
        input=content, capture_output=True, check=True, timeout=_READ_SECONDS,
    )  # fmt: skip
    return done.stdout.decode(errors="replace")


def python_docx(content: bytes) -> str:
    """Return the text of a DOCX by python-docx."""
    return "\n".join(_docx_lines(docx.Document(io.BytesIO(content))))


def _docx_lines(document: "docx.document.Document") -> Iterator[str]:
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                yield "\t".join(cell.text for cell in row.cells)
        else:
            yield block.text


def python_pptx(content: bytes) -> str:
    """Return the text of a PPTX by python-pptx, speaker's notes included."""
    lines = []
    for slide in pptx.Presentation(io.BytesIO(content)).slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                lines.append(shape.text_frame.text)
            elif getattr(shape, "has_table", False):
                lines += ["\t".join(cell.text for cell in row.cells) for row in shape.table.rows]
        if slide.has_notes_slide:
            lines.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(lines)


def sheet_cells(content: bytes) -> str:
    """Return the cells of an XLSX from its XML, row by row; numbers are as stored."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        strings = []
        if "xl/sharedStrings.xml" in names:
            shared = ET.fromstring(archive.read("xl/sharedStrings.xml"))  # noqa: S314 - the corpus is trusted
            strings = ["".join(_texts(item)) for item in shared.iterfind("{*}si")]
        sheets = [ET.fromstring(archive.read(name)) for name in names if _SHEET.fullmatch(name)]  # noqa: S314
    return "\n".join(
        "\t".join(_cell(cell, strings) for cell in row.iterfind("{*}c"))
        for sheet in sheets
        for row in sheet.iterfind("{*}sheetData/{*}row")
    )


def _cell(cell: ET.Element, strings: list[str]) -> str:
    value = cell.findtext("{*}v") or ""
    if cell.get("t") == "s":
        return strings[int(value)] if value else ""
    return "".join(_texts(cell)) or value


def _texts(element: ET.Element) -> list[str]:
    return [node.text for node in element.iter() if node.tag.endswith("}t") and node.text]


def odfpy(content: bytes) -> str:
    """Return the text of an ODT by odfpy: first the headings, then the paragraphs."""
    document = load(io.BytesIO(content))
    elements = [*document.getElementsByType(text.H), *document.getElementsByType(text.P)]
    return "\n".join(teletype.extractText(element) for element in elements)


def ebooklib(content: bytes) -> str:
    """Return the text of an EPUB by ebooklib and lxml."""
    with tempfile.NamedTemporaryFile(suffix=".epub") as file:
        file.write(content)
        file.flush()
        book = epub.read_epub(file.name)
    return "\n".join(lxml_html(item.get_content()) for item in book.get_items_of_type(ITEM_DOCUMENT))


def lxml_html(content: bytes) -> str:
    """Return the visible text of an HTML page by lxml."""
    root = lxml.html.document_fromstring(content)
    hidden = " or ".join(f"ancestor::{tag}" for tag in ("script", "style", "head", "noscript", "template"))
    return "\n".join(root.xpath(f"//text()[not({hidden})]"))


SECOND_TOOLS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    "pdf": ("pdftotext", pdftotext),
    "docx": ("python-docx", python_docx),
    "pptx": ("python-pptx", python_pptx),
    "xlsx": ("its XML", sheet_cells),
    "odt": ("odfpy", odfpy),
    "epub": ("ebooklib, lxml", ebooklib),
    "html": ("lxml", lxml_html),
}
"""Type to the name of a second tool and its reader."""


def list_missing_types() -> set[str]:
    """Return the types whose second tool is not installed."""
    return set() if shutil.which("pdftotext") else {"pdf"}
