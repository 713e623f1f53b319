"""Bounds on what documents may bring along of headings and tables, and what extractors share to find them."""

from collections.abc import Callable, Iterable, Sequence

from perdure.documents.document import Section, Table

MAX_SECTIONS = 10_000
MAX_LEVEL = 9
MAX_HEADING_CHARACTERS = 300
MAX_TABLES = 2_000
MAX_CELLS = 200_000
"""Of all tables of a document together."""
MAX_COLUMNS = 1_000
MAX_CELL_CHARACTERS = 2_000
MAX_TABLE_CHARACTERS = 4_000_000
"""Of all cells of a document together; the text holds them all."""


def one_line(text: str) -> str:
    """The same words with single spaces between them."""
    return " ".join(text.split())


def bounded_sections(sections: Iterable[Section], storable: Callable[[str], str]) -> tuple[Section, ...]:
    """By offset, the first `MAX_SECTIONS`, with headings of a bearable length; those without words left out."""
    kept: list[Section] = []
    for section in sorted(sections, key=lambda one: one.offset):
        if heading := one_line(storable(section.heading))[:MAX_HEADING_CHARACTERS]:
            kept.append(Section(section.offset, min(max(1, section.level), MAX_LEVEL), heading))
        if len(kept) == MAX_SECTIONS:
            break
    return tuple(kept)


def bounded_tables(tables: Iterable[Table], storable: Callable[[str], str]) -> tuple[Table, ...]:
    """By start, disjoint, the first `MAX_TABLES`, with no more cells and characters than allowed altogether."""
    kept: list[Table] = []
    cells, characters, end = MAX_CELLS, MAX_TABLE_CHARACTERS, 0
    for table in sorted(tables, key=lambda one: (one.start, one.end)):
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
            cells, characters = cells - len(taken), characters - size
            rows.append(taken)
        kept.append(Table(table.start, table.end, tuple(rows), table.page, cut))
        end = table.end
    return tuple(kept)


def shifted(sections: Sequence[Section], tables: Sequence[Table], by: int) -> tuple[list[Section], list[Table]]:
    """The same, of a text that stands `by` characters further on in another."""
    return (
        [Section(one.offset + by, one.level, one.heading) for one in sections],
        [Table(one.start + by, one.end + by, one.rows, one.page, one.cut) for one in tables],
    )
