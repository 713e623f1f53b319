"""Resolves the names of one kind; the result does not depend on their order."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from perdure.services.identity.cooccurrence import Cooccurrence
from perdure.services.identity.names import Joined, Name
from perdure.services.identity.organisations import Organisations
from perdure.services.identity.people import People
from perdure.services.identity.places import Places


class Resolver(Protocol):
    """Resolves the names of one kind."""

    cooccurrence: Cooccurrence

    def joins(self) -> Iterator[Joined]:
        """Yield every name that joins another name's identity, and every ambiguous name."""
        ...


_RESOLVERS: dict[str, Callable[[Iterable[Name]], Resolver]] = {
    "organisation": Organisations,
    "person": People,
    "place": Places,
}


class Resolution:
    """The resolution of one kind: first the pairs to count, then, with the counts, the joins.

    Args:
        kind: one of `names.COMPARED_KINDS`.
        rows: number, normalised form, surface and mentions of each name, numbered in the byte order of the forms.
    """

    def __init__(self, kind: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Read the names and apply the rules that need no counts."""
        self._resolver = _RESOLVERS[kind](Name(*row) for row in rows)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of names whose shared documents must be counted.

        A name with itself counts its documents.
        """
        yield from sorted(self._resolver.cooccurrence.pairs)

    def add_counts(self, shared: Iterable[tuple[int, int, int]]) -> None:
        """Store the counts: two names and the number of documents with both.

        A missing pair counts 0.
        """
        self._resolver.cooccurrence.documents = {(short, other): documents for short, other, documents in shared}

    def joins(self) -> Iterator[tuple[int, int, str, float]]:
        """Yield number, canonical number, rule and score of each join.

        A name without a join is its own identity.
        """
        for join in self._resolver.joins():
            yield join.number, join.canonical, join.rule, join.score
