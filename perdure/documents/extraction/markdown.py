"""Headings, tables and front matter of Markdown; the text stays as it was written."""

import re
from dataclasses import dataclass, field

from perdure.documents.document import Section, Table

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
    """What a Markdown text says of itself by its form."""

    sections: list[Section] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


def markdown_structure(text: str) -> MarkdownStructure:
    """Headings of both forms and tables with bars, outside of code; the keys of YAML front matter that are plain."""
    found = MarkdownStructure()
    lines = text.split("\n")
    first = _front_matter(lines, found)
    offset = sum(len(line) + 1 for line in lines[:first])
    fence = None
    number = first
    while number < len(lines):
        line, taken = lines[number], 1
        if fenced := _FENCE.match(line):
            fence = None if fence == fenced.group(1) else fence or fenced.group(1)
        elif fence is None:
            if heading := _ATX.match(line):
                words = line[heading.end() :].strip().rstrip("#").strip()
                found.sections.append(Section(offset, len(heading.group(1)), words))
            elif "|" in line and number + 1 < len(lines) and _is_rule(lines[number + 1]):
                taken = _table_length(lines, number)
                _add_table(found, offset, lines[number : number + taken])
            elif level := _underlined(lines, number):
                found.sections.append(Section(offset, level, line.strip()))
                taken = 2
        offset += sum(len(one) + 1 for one in lines[number : number + taken])
        number += taken
    return found


def _front_matter(lines: list[str], found: MarkdownStructure) -> int:
    """How many lines it takes; 0 if there is none."""
    if lines[0].rstrip() != "---":
        return 0
    for number, line in enumerate(lines[1:_MAX_MATTER_LINES], start=1):
        if line.rstrip() in ("---", "..."):
            return number + 1
        key, colon, value = line.partition(":")
        if colon and (name := _MATTER.get(key.strip().lower())) and (plain := value.strip().strip("\"'")):
            found.properties.setdefault(name, plain.strip("[]").replace(",", ";") if name == "author" else plain)
    found.properties.clear()
    return 0


def _underlined(lines: list[str], number: int) -> int | None:
    """The level of a heading that the next line underlines."""
    if number + 1 >= len(lines):
        return None
    line, below = lines[number], lines[number + 1].strip()
    if not line.strip() or not below or below.strip(below[0]) or _NO_PARAGRAPH.match(line):
        return None
    if number and lines[number - 1].strip() and below[0] == "-":
        return None  # the end of a longer paragraph, then a rule
    return _UNDERLINES.get(below[0])


def _is_rule(line: str) -> bool:
    """`| --- | :-: |`."""
    cells = line.strip().strip("|").split("|")
    return "-" in line and all(cell.strip() and not cell.strip().strip(":").strip("-") for cell in cells)


def _table_length(lines: list[str], number: int) -> int:
    end = number + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end - number


def _add_table(found: MarkdownStructure, offset: int, lines: list[str]) -> None:
    rows = tuple(_cells(line) for index, line in enumerate(lines) if index != 1)
    found.tables.append(Table(offset, offset + len("\n".join(lines)), rows))


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in _UNESCAPED_BAR.split(inner))
