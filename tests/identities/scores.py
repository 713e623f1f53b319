"""Precision and recall of resolved identities against the true identities."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Score:
    """Precision and recall, each from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def pairwise(pairs: Iterable[tuple[Hashable, Hashable]]) -> Score:
    """Return precision and recall over all pairs of mentions with the same identity.

    Args:
        pairs: the true identity and the resolved identity of each mention.
    """
    cells = Counter(pairs)
    true, resolved = _sums(cells)
    correct_pairs = sum(comb(count, 2) for count in cells.values())
    resolved_pairs = sum(comb(count, 2) for count in resolved.values())
    true_pairs = sum(comb(count, 2) for count in true.values())
    return Score(
        correct_pairs / resolved_pairs if resolved_pairs else 1.0, correct_pairs / true_pairs if true_pairs else 1.0
    )


def b_cubed(pairs: Iterable[tuple[Hashable, Hashable]]) -> Score:
    """Return the B-cubed precision and recall: means over all mentions.

    The precision of a mention is the share of its resolved identity that has its true identity. The recall of a mention
    is the share of its true identity that has its resolved identity.

    Args:
        pairs: the true identity and the resolved identity of each mention.
    """
    cells = Counter(pairs)
    true, resolved = _sums(cells)
    total = sum(cells.values())
    if not total:
        return Score(1.0, 1.0)
    precision = sum(count * count / resolved[identity] for (_, identity), count in cells.items()) / total
    recall = sum(count * count / true[truth] for (truth, _), count in cells.items()) / total
    return Score(precision, recall)


def _sums(cells: Counter[tuple[Hashable, Hashable]]) -> tuple[Counter[Hashable], Counter[Hashable]]:
    """Return the number of mentions of each true identity, and of each resolved identity."""
    true: Counter[Hashable] = Counter()
    resolved: Counter[Hashable] = Counter()
    for (truth, identity), count in cells.items():
        true[truth] += count
        resolved[identity] += count
    return true, resolved
