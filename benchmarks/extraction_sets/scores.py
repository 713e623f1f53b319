"""Precision and recall of extracted words, headings and table cells."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r"\w+")
_TRIGRAM = 3


@dataclass(frozen=True, slots=True)
class Score:
    """Precision and recall of a multiset against another, each from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def compare(extracted: Iterable[Hashable], expected: Iterable[Hashable]) -> Score:
    """Return the score of the extracted items against the expected items; 1.0 if both are empty."""
    left = Counter(extracted)
    right = Counter(expected)
    common = (left & right).total()
    return Score(
        common / left.total() if left else float(not right), common / right.total() if right else float(not left)
    )


def tokens(text: str) -> list[str]:
    """Return the words of a text, case folded."""
    return _TOKEN.findall(text.casefold())


def trigrams(text: str) -> list[tuple[str, ...]]:
    """Return every 3 consecutive tokens; their comparison measures the order of the words."""
    words = tokens(text)
    return [tuple(words[start : start + _TRIGRAM]) for start in range(len(words) - _TRIGRAM + 1)]


def cells(tables: Iterable[Iterable[Iterable[str]]]) -> list[tuple[int, int, int, str]]:
    """Return each non-empty cell as number of its table, row, column and text."""
    return [
        (number, y, x, " ".join(cell.split()))
        for number, rows in enumerate(tables)
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
        if cell.strip()
    ]
