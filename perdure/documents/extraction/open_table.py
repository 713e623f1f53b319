"""Collects the cells of a table, and distinguishes tables of data from layout tables."""

from dataclasses import dataclass, field

from perdure.documents.extraction.structure import MAX_CELLS, MAX_COLUMNS

_MIN_COLUMNS = 2
_MAX_SPAN = 100


@dataclass(slots=True)
class OpenTable:
    """A table whose elements are being read."""

    start: int
    """Offset of the table in the text, in characters."""
    rows: list[list[str]] = field(default_factory=list)
    nested: bool = False
    """Whether the table holds another table. Such a table lays out a page, and holds no data."""
    cut: bool = False
    """Whether cells beyond the bounds were left out."""
    _down: dict[int, int] = field(default_factory=dict)
    """For each column, the number of further rows that a cell above spans."""
    _cells: int = 0

    def begin_row(self) -> None:
        """Begin a row."""
        self.rows.append([])

    def add(self, text: str, columns: str | None, rows: str | None) -> None:
        """Add a cell; the further columns and rows that it spans become empty cells.

        Args:
            text: text of the cell.
            columns: the number of columns that it spans, as the document writes it; None for one.
            rows: the number of rows that it spans, as the document writes it; None for one.
        """
        if self.nested or self.cut:
            return
        if not self.rows:
            self.begin_row()
        row = self.rows[-1]
        self._fill_spanned(row)
        across = _parse_span(columns)
        down = _parse_span(rows)
        if len(row) + across > MAX_COLUMNS or self._cells + across > MAX_CELLS:
            self.cut = True
            return
        for number in range(across):
            if down > 1:
                self._down[len(row)] = down - 1
            row.append("" if number else text)
        self._cells += across

    def end_row(self) -> None:
        """End the row."""
        if self.rows and not self.nested:
            self._fill_spanned(self.rows[-1])

    def is_data(self, least_rows: int = 2) -> bool:
        """Return whether the table has at least `least_rows` rows, two columns, and no table inside."""
        self.rows = [row for row in self.rows if any(row)]
        if self.nested or not self.rows:
            return False
        return len(self.rows) >= least_rows and max(map(len, self.rows)) >= _MIN_COLUMNS

    def _fill_spanned(self, row: list[str]) -> None:
        """Add the empty cells that cells of earlier rows span."""
        while (left := self._down.get(len(row), 0)) and len(row) < MAX_COLUMNS:
            self._down[len(row)] = left - 1
            row.append("")
            self._cells += 1


def _parse_span(declared: str | None) -> int:
    return min(max(1, int(declared)), _MAX_SPAN) if declared and declared.isascii() and declared.isdigit() else 1
