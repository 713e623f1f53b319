"""Finds the headings and tables of Kreuzberg's nodes in Kreuzberg's text.

Nodes come in reading order. They hold their own text, but no offsets. So the search for a node begins at the end of
the node before, and covers a window of characters. A node outside the window adds no heading or table; its words stay.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.documents.document import Section, Table
from perdure.documents.extraction.structure import MAX_CELLS

_WINDOW_CHARACTERS = 20_000
_SOUGHT_CHARACTERS = 120


def find_structure(
    text: str, nodes: Sequence[Mapping[str, Any]], translation: Mapping[int, int]
) -> tuple[str, tuple[Section, ...], tuple[Table, ...]]:
    """Return the text with tabs between the cells of its tables, its headings, and its tables.

    Args:
        text: the whole text.
        nodes: nodes of the document, in reading order.
        translation: translation of single characters of the nodes into those of the text.
    """
    sections: list[Section] = []
    tables: list[Table] = []
    pieces: list[str] = []
    cursor = done = 0
    for node in nodes:
        content = node.get("content") or {}
        kind = content.get("node_type")
        if kind == "table":
            rows = _make_rows(content.get("grid") or {}, translation)
            start, written = _find_table(text, rows, cursor)
            if start < 0:
                continue
            pieces += [text[done:start], "\n".join("\t".join(row) for row in written)]
            cursor = done = start + len(pieces[-1])
            tables.append(Table(start, cursor, rows))
        elif kind != "group" and (words := str(content.get("text") or "").translate(translation).strip()):
            start = _find(text, words, cursor)
            if start < 0:
                continue
            if kind == "heading":
                sections.append(Section(start, int(content.get("level") or 1), words))
            cursor = min(start + len(words), len(text))
    pieces.append(text[done:])
    return "".join(pieces), tuple(sections), tuple(tables)


def _find(text: str, words: str, cursor: int) -> int:
    """Return the offset of the words, or -1 if they are not in the window.

    An offset at the beginning of a line is preferred.
    """
    sought = words[:_SOUGHT_CHARACTERS]
    end = cursor + _WINDOW_CHARACTERS
    if text.startswith(sought) and cursor == 0:
        return 0
    start = text.find("\n" + sought, max(0, cursor - 1), end)
    return start + 1 if start >= 0 else text.find(sought, cursor, end)


def _find_table(text: str, rows: Sequence[Sequence[str]], cursor: int) -> tuple[int, list[list[str]]]:
    """Return the offset of the rows, and the rows as the text has them.

    In the text, spaces separate the cells. The offset is -1 if the rows are not in the window.
    """
    for written in ([list(row) for row in rows], [[cell for cell in row if cell] for row in rows]):
        rendered = "\n".join(" ".join(row) for row in written)
        if (
            rendered.strip()
            and (start := text.find(rendered, cursor, cursor + _WINDOW_CHARACTERS + len(rendered))) >= 0
        ):
            return start, written
    return -1, []


def _make_rows(grid: Mapping[str, Any], translation: Mapping[int, int]) -> tuple[tuple[str, ...], ...]:
    rows: dict[int, dict[int, str]] = {}
    for cell in (grid.get("cells") or ())[:MAX_CELLS]:
        rows.setdefault(int(cell["row"]), {})[int(cell["col"])] = str(cell.get("content") or "").translate(translation)
    columns = min(int(grid.get("cols") or 0), MAX_CELLS)
    return tuple(tuple(rows[row].get(column, "") for column in range(columns)) for row in sorted(rows))
