"""How much of what was there came out, and how much of what came out was there."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r"\w+")
_RUN = 3


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of one multiset against another."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def compared(found: Iterable[Hashable], wanted: Iterable[Hashable]) -> Score:
    """1.0 throughout if both are empty."""
    left, right = Counter(found), Counter(wanted)
    common = (left & right).total()
    return Score(
        common / left.total() if left else float(not right), common / right.total() if right else float(not left)
    )


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def runs(text: str) -> list[tuple[str, ...]]:
    """Every three tokens that follow each other: their order."""
    words = tokens(text)
    return [tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)]


def cells(tables: Iterable[Iterable[Iterable[str]]]) -> list[tuple[int, int, int, str]]:
    """Each cell with its table, row and column."""
    return [
        (number, y, x, " ".join(cell.split()))
        for number, rows in enumerate(tables)
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
        if cell.strip()
    ]
