"""The headings and tables of a document take a bounded memory, and no two tables overlap."""

from perdure.documents.document import Section, Table
from perdure.documents.extraction.structure import (
    MAX_CELL_CHARACTERS,
    MAX_SECTIONS,
    MAX_TABLE_CHARACTERS,
    MAX_TABLES,
    bounded_sections,
    bounded_tables,
)


def test_number_of_headings_and_tables_is_bounded() -> None:
    sections = [Section(offset, 1, "x") for offset in range(MAX_SECTIONS + 5)]
    assert bounded_sections(sections, str) == tuple(sections[:MAX_SECTIONS])
    tables = [Table(offset, offset + 1, (("x",),)) for offset in range(MAX_TABLES + 5)]
    assert bounded_tables(tables, str) == tuple(tables[:MAX_TABLES])


def test_characters_of_tables_are_bounded() -> None:
    rows = (("x" * MAX_CELL_CHARACTERS,) * 100,) * 30
    (table,) = bounded_tables([Table(0, 10, rows)], str)
    assert table.cut
    assert 0 < sum(len(cell) for row in table.rows for cell in row) <= MAX_TABLE_CHARACTERS
    (table,) = bounded_tables([Table(0, 10, (("x" * (MAX_CELL_CHARACTERS + 1),),))], str)
    assert len(table.rows[0][0]) == MAX_CELL_CHARACTERS


def test_place_in_a_text_belongs_to_one_table() -> None:
    rows = (("x",),)
    outer = Table(0, 10, rows)
    after = Table(10, 20, rows)
    assert bounded_tables([after, Table(3, 7, rows), outer, Table(9, 12, rows)], str) == (outer, after)
