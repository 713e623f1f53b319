r"""The texts of the samples: a small Markdown dialect, read into blocks that every writer can set in its format.

A source is a YAML header between two `---` lines and a body. The body knows headings (`#`, `##`), paragraphs,
bullets (`- `), tables (`| a | b |`, the first row is the head) and a page break (`\pagebreak`). Nothing else:
emphasis would come out differently in each format, and the samples are about their words.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

STORY = Path(__file__).parent / "story"


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal length; the first is the head."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class PageBreak:
    pass


Block = Heading | Paragraph | Bullets | Table | PageBreak


@dataclass(frozen=True, slots=True)
class Source:
    header: dict[str, Any]
    body: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def title(self) -> str:
        return str(self.header["title"])

    @property
    def author(self) -> str:
        return str(self.header["author"])


def read_source(name: str) -> Source:
    """Read `story/<name>`.

    Raises:
        ValueError: the header is missing, or a table's rows differ in length.
    """
    text = (STORY / name).read_text(encoding="utf-8")
    opening, header, body = text.split("---\n", 2)
    if opening.strip():
        raise ValueError(f"{name} does not begin with its header")
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
            raise ValueError(f"a table's rows differ in length: {first}")
        return Table(rows)
    return Paragraph(" ".join(line.strip() for line in lines))
