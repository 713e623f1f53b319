"""Extracts Markdown: its headings, tables and front matter; the text stays as it is written."""

import re
from dataclasses import dataclass, field

from perdure.documents.document import Section, Table
from perdure.documents.extraction.extracted import Extracted, ExtractionInput
from perdure.documents.extraction.text import read_text

_FENCE = re.compile(r" {0,3}(```|~~~)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINES = {"=": 1, "-": 2}
_NO_PARAGRAPH = re.compile(r"\s*(?:[-*+>|]|\d+[.)]\s|```|~~~)| {4}|\t")
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
_MATTER = {"title": "title", "author": "author", "authors": "author", "date": "created", "lang": "language",
           "language": "language", "updated": "modified", "lastmod": "modified"}  # fmt: skip
_MAX_MATTER_LINES = 200


@dataclass(slots=True)
class MarkdownStructure:
    """The structure of a Markdown text."""

    sections: list[Section] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    """The plain values of the YAML front matter, under the names that all extractors use."""


def extract_markdown(document: ExtractionInput) -> Extracted:
    """Return the text with its headings, tables and front matter.

    Raises:
        UnsupportedFormat: the file is no text.
    """
    text = read_text(document.content)
    structure = read_structure(text)
    main = next((section.heading for section in structure.sections if section.level == 1), None)
    title = structure.properties.pop("title", None) or main
    return Extracted(
        text,
        title or None,
        properties=structure.properties,
        sections=tuple(structure.sections),
        tables=tuple(structure.tables),
    )


def read_structure(text: str) -> MarkdownStructure:
    """Return the headings and tables outside of code, and the front matter."""
    structure = MarkdownStructure()
    lines = text.split("\n")
    number = _read_front_matter(lines, structure)
    offset = sum(len(line) + 1 for line in lines[:number])
    fence = None
    while number < len(lines):
        line = lines[number]
        line_count = 1
        if opening := _FENCE.match(line):
            fence = None if fence == opening.group(1) else fence or opening.group(1)
        elif fence is None:
            line_count = _read_block(lines, number, offset, structure)
        offset += sum(len(taken) + 1 for taken in lines[number : number + line_count])
        number += line_count
    return structure


def _read_block(lines: list[str], number: int, offset: int, structure: MarkdownStructure) -> int:
    """Add the heading or table that begins at a line, and return the number of its lines.

    The number is 1 if the line begins neither.

    Args:
        lines: lines of the text.
        number: number of the line, from 0.
        offset: offset of the line in the text, in characters.
        structure: the structure to extend.
    """
    line = lines[number]
    if heading := _ATX.match(line):
        words = line[heading.end() :].strip().rstrip("#").strip()
        structure.sections.append(Section(offset, len(heading.group(1)), words))
    elif "|" in line and number + 1 < len(lines) and _is_rule(lines[number + 1]):
        length = _count_table_lines(lines, number)
        _add_table(structure, offset, lines[number : number + length])
        return length
    elif level := _find_underlined_level(lines, number):
        structure.sections.append(Section(offset, level, line.strip()))
        return 2
    return 1


def _read_front_matter(lines: list[str], structure: MarkdownStructure) -> int:
    """Add the properties of the front matter, and return the number of its lines.

    The number is 0 if there is no front matter.
    """
    if lines[0].rstrip() != "---":
        return 0
    for number, line in enumerate(lines[1:_MAX_MATTER_LINES], start=1):
        if line.rstrip() in ("---", "..."):
            return number + 1
        key, colon, value = line.partition(":")
        if colon and (name := _MATTER.get(key.strip().lower())) and (plain := value.strip().strip("\"'")):
            structure.properties.setdefault(name, plain.strip("[]").replace(",", ";") if name == "author" else plain)
    structure.properties.clear()
    return 0


def _find_underlined_level(lines: list[str], number: int) -> int | None:
    """Return the level of a heading that the next line underlines; None if it underlines none."""
    if number + 1 >= len(lines):
        return None
    line = lines[number]
    below = lines[number + 1].strip()
    if not line.strip() or not below or below.strip(below[0]) or _NO_PARAGRAPH.match(line):
        return None
    if number and lines[number - 1].strip() and below[0] == "-":
        return None  # The dashes are a rule below a longer paragraph.
    return _UNDERLINES.get(below[0])


def _is_rule(line: str) -> bool:
    """Return whether a line separates a table's head from its body, such as `| --- | :-: |`."""
    cells = line.strip().strip("|").split("|")
    return "-" in line and all(cell.strip() and not cell.strip().strip(":").strip("-") for cell in cells)


def _count_table_lines(lines: list[str], number: int) -> int:
    end = number + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end - number


def _add_table(structure: MarkdownStructure, offset: int, lines: list[str]) -> None:
    rows = tuple(_split_cells(line) for index, line in enumerate(lines) if index != 1)
    structure.tables.append(Table(offset, offset + len("\n".join(lines)), rows))


def _split_cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in _UNESCAPED_BAR.split(inner))
