"""Extracts PowerPoint slides (PPTX) as pages, with tables and speaker's notes.

Kreuzberg gives no slide boundaries, and rejected 2 of 19 real presentations for one broken picture. So this module
reads the text runs from the slides' XML.
"""

import io
import re
import zipfile
from dataclasses import replace
from xml.etree import ElementTree as ET

from perdure.documents.document import Section, Table
from perdure.documents.extraction.extracted import Extracted, ExtractionInput, join_pages
from perdure.documents.extraction.structure import shift_structure
from perdure.documents.extraction.zip_container import check_container
from perdure.errors import DamagedDocument

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_STRICT_A = "{http://purl.oclc.org/ooxml/drawingml/main}"
_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml")
_RELATION = re.compile(rb'Target="([^"]*notesSlides/[^"]+)"')
_CORE = {"title": "title", "creator": "author", "created": "created", "modified": "modified", "subject": "subject",
         "language": "language"}  # fmt: skip


def extract_slides(document: ExtractionInput) -> Extracted:
    """Return each slide's text as a page of its own.

    Raises:
        EncryptedDocument, DocumentTooLarge: raised by `check_container`.
        DamagedDocument: the container or the XML in it is broken.
    """
    content = document.content
    check_container(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            numbers = sorted(int(match.group(1)) for name in names if (match := _SLIDE.fullmatch(name)))
            slides = [_read_slide(archive, names, number) for number in numbers]
            properties = _core_properties(archive) if "docProps/core.xml" in names else {}
    except (zipfile.BadZipFile, ET.ParseError, ValueError, RuntimeError, EOFError, OSError) as error:
        raise DamagedDocument("The presentation is damaged: its content breaks the rules of its format.") from error
    text, offsets = join_pages([slide.text() for slide in slides])
    title = properties.pop("title", None)
    sections: list[Section] = []
    tables: list[Table] = []
    for page, (offset, slide) in enumerate(zip(offsets, slides, strict=True), start=1):
        moved = shift_structure(slide.sections, slide.tables, offset)
        sections += moved[0]
        tables += [replace(table, page=page) for table in moved[1]]
    return Extracted(
        text, title, offsets, {**properties, "slides": len(slides)}, sections=tuple(sections), tables=tuple(tables)
    )


class _Reading:
    """Collects the lines of a slide, with the offsets of its title and tables."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.length = 0
        self.sections: list[Section] = []
        self.tables: list[Table] = []

    def read(self, root: ET.Element) -> None:
        """Add one line a paragraph and one line a table row.

        The method does not call itself, because files decide how deep elements are nested.
        """
        stack = [root]
        while stack:
            element = stack.pop()
            name = element.tag.rsplit("}", 1)[-1]
            if not element.tag.startswith((_A, _STRICT_A)):
                if name == "sp" and _is_title(element) and (title := _paragraphs(element)):
                    self.sections.append(Section(self.length, 1, title))
                stack.extend(reversed(element))
            elif name == "p":
                self.add(_runs(element))
            elif name == "tbl":
                self._add_table(element)
            else:
                stack.extend(reversed(element))

    def add(self, line: str) -> None:
        """Add a line; one without words is left out."""
        if line.strip():
            self.lines.append(line)
            self.length += len(line) + 1

    def text(self) -> str:
        """Return the lines so far."""
        return "\n".join(self.lines)

    def _add_table(self, element: ET.Element) -> None:
        start = self.length
        rows = [[_runs(cell) for cell in row if cell.tag.endswith("}tc")] for row in element if row.tag.endswith("}tr")]
        for row in rows:
            self.add("\t".join(row))
        if self.length > start:
            self.tables.append(Table(start, self.length - 1, tuple(map(tuple, rows))))


def _read_slide(archive: zipfile.ZipFile, names: set[str], number: int) -> _Reading:
    slide = _Reading()
    notes = _Reading()
    slide.read(_parsed(archive.read(f"ppt/slides/slide{number}.xml")))
    relations = f"ppt/slides/_rels/slide{number}.xml.rels"
    if relations in names and (relation := _RELATION.search(archive.read(relations))):
        notes_name = "ppt/notesSlides/" + relation.group(1).decode().rsplit("/", 1)[-1]
        if notes_name in names:
            notes.read(_parsed(archive.read(notes_name)))
        if notes.lines:
            slide.lines += ["\nNotes:", *notes.lines] if slide.lines else notes.lines
    return slide


def _parsed(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - expat bounds entity expansion itself since 2.4.1


def _is_title(shape: ET.Element) -> bool:
    """Return whether a shape fills the title's place in the slide's layout."""
    return any(place.get("type") in ("title", "ctrTitle") for place in shape.iterfind("{*}nvSpPr/{*}nvPr/{*}ph"))


def _paragraphs(shape: ET.Element) -> str:
    return " ".join(_runs(paragraph) for paragraph in shape.iterfind("{*}txBody/{*}p")).strip()


def _runs(element: ET.Element) -> str:
    pieces = []
    for node in element.iter():
        if node.tag in (f"{_A}t", f"{_STRICT_A}t") and node.text:
            pieces.append(node.text)
        elif node.tag in (f"{_A}br", f"{_STRICT_A}br"):
            pieces.append("\n")
    return "".join(pieces)


def _core_properties(archive: zipfile.ZipFile) -> dict[str, str]:
    root = _parsed(archive.read("docProps/core.xml"))
    values = {_CORE.get(node.tag.rsplit("}", 1)[-1], ""): (node.text or "").strip() for node in root}
    return {name: value for name, value in values.items() if name and value}
