"""Bounds the headings and tables of documents, and moves them to other offsets."""

from collections.abc import Callable, Iterable, Sequence

from perdure.documents.document import Section, Table

MAX_SECTIONS = 10_000
MAX_LEVEL = 9
MAX_HEADING_CHARACTERS = 300
MAX_TABLES = 2_000
MAX_CELLS = 200_000
"""Most cells of all tables of a document together."""
MAX_COLUMNS = 1_000
MAX_CELL_CHARACTERS = 2_000
MAX_TABLE_CHARACTERS = 4_000_000
"""Most characters of all cells of a document together. The text of the document has every cell in any case."""


def one_line(text: str) -> str:
    """Return the words of a text with single spaces between them."""
    return " ".join(text.split())


def bounded_sections(sections: Iterable[Section], storable: Callable[[str], str]) -> tuple[Section, ...]:
    """Return the first `MAX_SECTIONS` headings by offset, cut to `MAX_HEADING_CHARACTERS`.

    Headings without words are left out.

    Args:
        sections: the headings of the document, in any order.
        storable: returns a text of the same length that every store takes.
    """
    kept: list[Section] = []
    for section in sorted(sections, key=lambda section: section.offset):
        if heading := one_line(storable(section.heading))[:MAX_HEADING_CHARACTERS]:
            kept.append(Section(section.offset, min(max(1, section.level), MAX_LEVEL), heading))
        if len(kept) == MAX_SECTIONS:
            break
    return tuple(kept)


def bounded_tables(tables: Iterable[Table], storable: Callable[[str], str]) -> tuple[Table, ...]:
    """Return the first `MAX_TABLES` tables by start, without overlaps.

    The tables together hold no more cells and characters than the bounds allow.

    Args:
        tables: the tables of the document, in any order.
        storable: returns a text of the same length that every store takes.
    """
    kept: list[Table] = []
    cells = MAX_CELLS
    characters = MAX_TABLE_CHARACTERS
    end = 0
    for table in sorted(tables, key=lambda table: (table.start, table.end)):
        if len(kept) == MAX_TABLES:
            break
        if table.start < end or not table.rows:
            continue
        rows: list[tuple[str, ...]] = []
        cut = table.cut
        for row in table.rows:
            taken = tuple(one_line(storable(cell))[:MAX_CELL_CHARACTERS] for cell in row[:MAX_COLUMNS])
            size = sum(map(len, taken))
            if len(taken) > cells or size > characters:
                cut = True
                break
            cut = cut or len(row) > MAX_COLUMNS
            cells -= len(taken)
            characters -= size
            rows.append(taken)
        kept.append(Table(table.start, table.end, tuple(rows), table.page, cut))
        end = table.end
    return tuple(kept)


def shift_structure(sections: Sequence[Section], tables: Sequence[Table], by: int) -> tuple[list[Section], list[Table]]:
    """Return the headings and tables with their offsets moved by `by` characters."""
    return (
        [Section(section.offset + by, section.level, section.heading) for section in sections],
        [Table(table.start + by, table.end + by, table.rows, table.page, table.cut) for table in tables],
    )
