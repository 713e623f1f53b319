"""Evidence by company: in which documents a short name stands together with the longer ones it may mean."""

from collections.abc import Iterable

MAX_CANDIDATES = 50
"""A short name that may mean more than that is not asked about: it stays ambiguous."""
_OTHERS_SHARE = 2


class Together:
    """How many documents two names share; asked all at once, because only the database can count them."""

    def __init__(self) -> None:
        self.pairs: set[tuple[int, int]] = set()
        """Numbers of a short name and one that it may mean; of a name and itself for all of its documents."""
        self.documents: dict[tuple[int, int], int] = {}

    def ask(self, short: int, candidates: Iterable[int]) -> None:
        """Have the documents counted that a name shares with each candidate."""
        wanted = set(candidates)
        if 0 < len(wanted) <= MAX_CANDIDATES:
            self.pairs |= {(short, one) for one in wanted} | {(short, short)}

    def shared(self, short: int, others: Iterable[int]) -> int:
        """Documents that a name shares with the one of `others` that it is most often with."""
        return max((self.documents.get((short, other), 0) for other in others), default=0)

    def choice(self, short: int, candidates: Iterable[tuple[int, Iterable[int]]]) -> int | None:
        """The candidate in whose company the name is in half of its documents, twice as often as with any other.

        None if there is none.

        Args:
            short: the name.
            candidates: each with the numbers of its names.
        """
        ranked = sorted(((self.shared(short, names), one) for one, names in candidates), key=lambda pair: -pair[0])
        if not ranked or not ranked[0][0] or 2 * ranked[0][0] < self.documents.get((short, short), 0):
            return None
        if len(ranked) > 1 and _OTHERS_SHARE * ranked[1][0] > ranked[0][0]:
            return None
        return ranked[0][1]
