r"""Reads the texts of the samples, in a small Markdown dialect, into blocks for the writers.

A source is a YAML header between two `---` lines, and a body. The body may hold headings (`#`, `##`), paragraphs,
bullets (`- `), tables (`| a | b |`, the first row is the head) and page breaks (`\pagebreak`). The dialect has no
emphasis, because the extracted text of emphasis differs between formats.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

STORY = Path(__file__).parent / "story"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 or 2."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph without line breaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of bullets."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; all rows have the same length, and the first row is the head."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class PageBreak:
    """A page break."""


Block = Heading | Paragraph | Bullets | Table | PageBreak


@dataclass(frozen=True, slots=True)
class Source:
    """The header of a source, its body as text, and its body as blocks."""

    header: dict[str, Any]
    body: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def title(self) -> str:
        """The title in the header."""
        return str(self.header["title"])

    @property
    def author(self) -> str:
        """The author in the header."""
        return str(self.header["author"])


def read_source(name: str) -> Source:
    """Read `story/<name>`, and parse its header and body.

    Raises:
        ValueError: the header is missing, or the rows of a table differ in length.
    """
    text = (STORY / name).read_text(encoding="utf-8")
    opening, header, body = text.split("---\n", 2)
    if opening.strip():
        raise ValueError(f"{name} has text before its header; start the file with a line of ---")
    body = body.strip() + "\n"
    return Source(yaml.safe_load(header), body, tuple(_block(part) for part in body.strip().split("\n\n")))


def _block(part: str) -> Block:
    lines = part.strip().splitlines()
    first = lines[0]
    if first == "\\pagebreak":
        return PageBreak()
    if first.startswith("#"):
        marks, text = first.split(" ", 1)
        return Heading(len(marks), text)
    if first.startswith("- "):
        return Bullets(tuple(item.replace("\n", " ") for item in part.strip().removeprefix("- ").split("\n- ")))
    if first.startswith("|"):
        rows = tuple(
            tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if not line.startswith("|--")
        )
        if len({len(row) for row in rows}) != 1:
            raise ValueError(f"the rows of a table differ in length; its first row is {first}")
        return Table(rows)
    return Paragraph(" ".join(line.strip() for line in lines))
