"""PowerPoint slides, one page each: text in the order of the file, with tables and speaker's notes.

Kreuzberg gives no slide boundaries, and rejects presentations for one broken picture (2 of 19 real ones), so the text
runs are read from the XML itself: it is all that a slide's text is.
"""

import io
import re
import zipfile
from dataclasses import replace
from xml.etree import ElementTree as ET

from perdure.documents.document import Section, Table
from perdure.documents.extraction.extracted import Extracted, joined_pages
from perdure.documents.extraction.structure import shifted
from perdure.errors import DamagedDocument

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_STRICT_A = "{http://purl.oclc.org/ooxml/drawingml/main}"
_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml")
_RELATION = re.compile(rb'Target="([^"]*notesSlides/[^"]+)"')
_CORE = {"title": "title", "creator": "author", "created": "created", "modified": "modified", "subject": "subject",
         "language": "language"}  # fmt: skip


def extract_slides(content: bytes) -> Extracted:
    """Every slide's text as a page of its own.

    Raises:
        DamagedDocument: the container or the XML in it is broken.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            numbers = sorted(int(found.group(1)) for name in names if (found := _SLIDE.fullmatch(name)))
            slides = [_slide(archive, names, number) for number in numbers]
            properties = _core(archive) if "docProps/core.xml" in names else {}
    except (zipfile.BadZipFile, ET.ParseError, ValueError, RuntimeError, EOFError, OSError) as error:
        raise DamagedDocument("The presentation is damaged: its content breaks the rules of its format.") from error
    text, offsets = joined_pages([slide.text() for slide in slides])
    title = properties.pop("title", None)
    sections: list[Section] = []
    tables: list[Table] = []
    for page, (offset, slide) in enumerate(zip(offsets, slides, strict=True), start=1):
        moved = shifted(slide.sections, slide.tables, offset)
        sections += moved[0]
        tables += [replace(table, page=page) for table in moved[1]]
    return Extracted(
        text, title, offsets, {**properties, "slides": len(slides)}, sections=tuple(sections), tables=tuple(tables)
    )


class _Reading:
    """The lines of a slide, and where its title and tables come to stand."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.length = 0
        self.sections: list[Section] = []
        self.tables: list[Table] = []

    def read(self, root: ET.Element) -> None:
        """One line a paragraph, and one a table row; walks without recursion, since files decide on the depth."""
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
                self._table(element)
            else:
                stack.extend(reversed(element))

    def add(self, line: str) -> None:
        if line.strip():
            self.lines.append(line)
            self.length += len(line) + 1

    def text(self) -> str:
        return "\n".join(self.lines)

    def _table(self, element: ET.Element) -> None:
        start = self.length
        rows = [[_runs(cell) for cell in row if cell.tag.endswith("}tc")] for row in element if row.tag.endswith("}tr")]
        for row in rows:
            self.add("\t".join(row))
        if self.length > start:
            self.tables.append(Table(start, self.length - 1, tuple(map(tuple, rows))))


def _slide(archive: zipfile.ZipFile, names: set[str], number: int) -> _Reading:
    slide, said = _Reading(), _Reading()
    slide.read(_parsed(archive.read(f"ppt/slides/slide{number}.xml")))
    relations = f"ppt/slides/_rels/slide{number}.xml.rels"
    if relations in names and (found := _RELATION.search(archive.read(relations))):
        notes = "ppt/notesSlides/" + found.group(1).decode().rsplit("/", 1)[-1]
        if notes in names:
            said.read(_parsed(archive.read(notes)))
        if said.lines:
            slide.lines += ["\nNotes:", *said.lines] if slide.lines else said.lines
    return slide


def _parsed(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - expat bounds entity expansion itself since 2.4.1


def _is_title(shape: ET.Element) -> bool:
    """Whether it fills the place that the slide's layout keeps for its title."""
    return any(place.get("type") in ("title", "ctrTitle") for place in shape.iterfind("{*}nvSpPr/{*}nvPr/{*}ph"))


def _paragraphs(shape: ET.Element) -> str:
    return " ".join(_runs(one) for one in shape.iterfind("{*}txBody/{*}p")).strip()


def _runs(element: ET.Element) -> str:
    pieces = []
    for node in element.iter():
        if node.tag in (f"{_A}t", f"{_STRICT_A}t") and node.text:
            pieces.append(node.text)
        elif node.tag in (f"{_A}br", f"{_STRICT_A}br"):
            pieces.append("\n")
    return "".join(pieces)


def _core(archive: zipfile.ZipFile) -> dict[str, str]:
    root = _parsed(archive.read("docProps/core.xml"))
    found = {_CORE.get(node.tag.rsplit("}", 1)[-1], ""): (node.text or "").strip() for node in root}
    return {name: value for name, value in found.items() if name and value}
