"""Counts the documents that contain a short name and a longer name that it may mean."""

from collections.abc import Iterable

MAX_CANDIDATES = 50
"""Most candidates of a short name that are counted. A short name with more candidates stays ambiguous."""
_LEAD = 2
"""The best candidate must share this many times as many documents as the second best."""


class Cooccurrence:
    """Numbers of documents that pairs of names share.

    The database counts all pairs in one request.
    """

    def __init__(self) -> None:
        """Start with no pair."""
        self.pairs: set[tuple[int, int]] = set()
        """Pairs to count: a short name and a candidate, and a name with itself for the number of its documents."""
        self.documents: dict[tuple[int, int], int] = {}
        """Number of documents of each counted pair."""

    def request(self, short: int, candidates: Iterable[int]) -> None:
        """Request the count of the documents that a name shares with each candidate."""
        numbers = set(candidates)
        if 0 < len(numbers) <= MAX_CANDIDATES:
            self.pairs |= {(short, number) for number in numbers} | {(short, short)}

    def count_shared(self, short: int, others: Iterable[int]) -> int:
        """Return the largest number of documents that a name shares with one of `others`."""
        return max((self.documents.get((short, other), 0) for other in others), default=0)

    def choose(self, short: int, candidates: Iterable[tuple[int, Iterable[int]]]) -> int | None:
        """Return the candidate that shares at least half of the name's documents.

        Return None if there is none, or if another candidate shares more than half as many documents.

        Args:
            short: number of the name.
            candidates: each candidate with the numbers of its names.
        """
        counts = ((self.count_shared(short, names), candidate) for candidate, names in candidates)
        ranked = sorted(counts, key=lambda pair: -pair[0])
        if not ranked or not ranked[0][0] or 2 * ranked[0][0] < self.documents.get((short, short), 0):
            return None
        if len(ranked) > 1 and _LEAD * ranked[1][0] > ranked[0][0]:
            return None
        return ranked[0][1]
