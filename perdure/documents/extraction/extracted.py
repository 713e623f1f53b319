"""What every extractor returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perdure.documents.document import Section, Table

PAGE_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text with the offsets, in characters, at which its pages begin; none if the format has no pages."""

    text: str
    title: str | None = None
    page_offsets: tuple[int, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()


def joined_pages(pages: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The pages as one text, and where each begins."""
    offsets, position = [], 0
    for page in pages:
        offsets.append(position)
        position += len(page) + len(PAGE_BREAK)
    return PAGE_BREAK.join(pages), tuple(offsets)
