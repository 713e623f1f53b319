"""How well identities that were found agree with the truth."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Score:
    """Precision and recall, from 0 to 1, and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def pairwise(pairs: Iterable[tuple[Hashable, Hashable]]) -> Score:
    """Of all pairs of mentions: which of those put together belong together, and the other way about.

    Args:
        pairs: of every mention, what it means and which identity it was given.
    """
    cells = Counter(pairs)
    meant, found = _sums(cells)
    together = sum(comb(count, 2) for count in cells.values())
    of_found = sum(comb(count, 2) for count in found.values())
    of_meant = sum(comb(count, 2) for count in meant.values())
    return Score(together / of_found if of_found else 1.0, together / of_meant if of_meant else 1.0)


def b_cubed(pairs: Iterable[tuple[Hashable, Hashable]]) -> Score:
    """The mean over all mentions of how much of its identity, and of what it means, each shares with it."""
    cells = Counter(pairs)
    meant, found = _sums(cells)
    total = sum(cells.values())
    if not total:
        return Score(1.0, 1.0)
    precision = sum(count * count / found[identity] for (_, identity), count in cells.items()) / total
    recall = sum(count * count / meant[truth] for (truth, _), count in cells.items()) / total
    return Score(precision, recall)


def _sums(cells: Counter[tuple[Hashable, Hashable]]) -> tuple[Counter[Hashable], Counter[Hashable]]:
    meant: Counter[Hashable] = Counter()
    found: Counter[Hashable] = Counter()
    for (truth, identity), count in cells.items():
        meant[truth] += count
        found[identity] += count
    return meant, found
