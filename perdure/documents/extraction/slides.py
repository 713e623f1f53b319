"""PowerPoint slides, one page each: text in the order of the file, with tables and speaker's notes.

Kreuzberg gives no slide boundaries, and rejects presentations for one broken picture (2 of 19 real ones), so the text
runs are read from the XML itself: it is all that a slide's text is.
"""

import io
import re
import zipfile
from xml.etree import ElementTree as ET

from perdure.documents.extraction.extracted import Extracted, joined_pages
from perdure.errors import DamagedDocument

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_STRICT_A = "{http://purl.oclc.org/ooxml/drawingml/main}"
_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml")
_RELATION = re.compile(rb'Target="([^"]*notesSlides/[^"]+)"')
_CORE = {"title": "title", "creator": "author", "created": "created", "modified": "modified", "subject": "subject"}


def extract_slides(content: bytes) -> Extracted:
    """Every slide's text as a page of its own.

    Raises:
        DamagedDocument: the container or the XML in it is broken.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            numbers = sorted(int(found.group(1)) for name in names if (found := _SLIDE.fullmatch(name)))
            pages = [_slide(archive, names, number) for number in numbers]
            properties = _core(archive) if "docProps/core.xml" in names else {}
    except (zipfile.BadZipFile, ET.ParseError, ValueError, RuntimeError, EOFError, OSError) as error:
        raise DamagedDocument("The presentation is damaged: its content breaks the rules of its format.") from error
    text, offsets = joined_pages(pages)
    title = properties.pop("title", None)
    return Extracted(text, title, offsets, {**properties, "slides": len(pages)})


def _slide(archive: zipfile.ZipFile, names: set[str], number: int) -> str:
    text = _text(archive.read(f"ppt/slides/slide{number}.xml"))
    relations = f"ppt/slides/_rels/slide{number}.xml.rels"
    if relations in names and (found := _RELATION.search(archive.read(relations))):
        notes = "ppt/notesSlides/" + found.group(1).decode().rsplit("/", 1)[-1]
        if notes in names and (said := _text(archive.read(notes))):
            text = f"{text}\n\nNotes:\n{said}" if text else said
    return text


def _text(xml: bytes) -> str:
    lines: list[str] = []
    _lines(ET.fromstring(xml), lines)  # noqa: S314 - expat bounds entity expansion itself since 2.4.1
    return "\n".join(line for line in lines if line.strip())


def _lines(root: ET.Element, lines: list[str]) -> None:
    """Append one line a paragraph, and one a table row; walks without recursion, since files decide on the depth."""
    stack = [root]
    while stack:
        element = stack.pop()
        name = element.tag.removeprefix(_A).removeprefix(_STRICT_A)
        if name == "p" and element.tag != name:
            lines.append(_runs(element))
        elif name == "tr" and element.tag != name:
            lines.append("\t".join(_runs(cell) for cell in element))
        else:
            stack.extend(reversed(element))


def _runs(element: ET.Element) -> str:
    pieces = []
    for node in element.iter():
        if node.tag in (f"{_A}t", f"{_STRICT_A}t") and node.text:
            pieces.append(node.text)
        elif node.tag in (f"{_A}br", f"{_STRICT_A}br"):
            pieces.append("\n")
    return "".join(pieces)


def _core(archive: zipfile.ZipFile) -> dict[str, str]:
    root = ET.fromstring(archive.read("docProps/core.xml"))  # noqa: S314 - as above
    found = {_CORE.get(node.tag.rsplit("}", 1)[-1], ""): (node.text or "").strip() for node in root}
    return {name: value for name, value in found.items() if name and value}
