"""Tables as rows of cells, and which of them are tables at all: many only lay out a page."""

from dataclasses import dataclass, field

from perdure.documents.extraction.structure import MAX_CELLS, MAX_COLUMNS

_MIN_COLUMNS = 2
_MAX_SPAN = 100


@dataclass(slots=True)
class OpenTable:
    """A table while its elements are walked through."""

    start: int
    rows: list[list[str]] = field(default_factory=list)
    nested: bool = False
    """Whether it holds another table, and so only lays out what it holds."""
    cut: bool = False
    _down: dict[int, int] = field(default_factory=dict)
    """Column to the number of rows into which a cell above still reaches."""
    _cells: int = 0

    def begin_row(self) -> None:
        self.rows.append([])

    def add(self, text: str, columns: str | None, rows: str | None) -> None:
        """A cell; where it spans others, they are empty."""
        if self.nested or self.cut:
            return
        if not self.rows:
            self.begin_row()
        row = self.rows[-1]
        self._reach_down(row)
        across, down = _span(columns), _span(rows)
        if len(row) + across > MAX_COLUMNS or self._cells + across > MAX_CELLS:
            self.cut = True
            return
        for number in range(across):
            if down > 1:
                self._down[len(row)] = down - 1
            row.append("" if number else text)
        self._cells += across

    def end_row(self) -> None:
        if self.rows and not self.nested:
            self._reach_down(self.rows[-1])

    def is_data(self, least_rows: int = 2) -> bool:
        """Rows and columns, and no table within."""
        self.rows = [row for row in self.rows if any(row)]
        if self.nested or not self.rows:
            return False
        return len(self.rows) >= least_rows and max(map(len, self.rows)) >= _MIN_COLUMNS

    def _reach_down(self, row: list[str]) -> None:
        while (left := self._down.get(len(row), 0)) and len(row) < MAX_COLUMNS:
            self._down[len(row)] = left - 1
            row.append("")
            self._cells += 1


def _span(declared: str | None) -> int:
    return min(max(1, int(declared)), _MAX_SPAN) if declared and declared.isascii() and declared.isdigit() else 1
