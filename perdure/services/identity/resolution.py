"""One kind of names, resolved: the same whatever the order in which they come."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from perdure.services.identity.cooccurrence import Together
from perdure.services.identity.names import Joined, Name
from perdure.services.identity.organisations import Organisations
from perdure.services.identity.people import People
from perdure.services.identity.places import Places


class Resolver(Protocol):
    """Resolves the names of one kind."""

    together: Together

    def joins(self) -> Iterator[Joined]:
        """Every name that is not an identity by itself, and every one that stays alone because it is ambiguous."""
        ...


_RESOLVERS: dict[str, Callable[[Iterable[Name]], Resolver]] = {
    "organisation": Organisations,
    "person": People,
    "place": Places,
}


class Resolution:
    """The names of one kind: first their questions, then, with the answers, what became of them.

    Args:
        kind: one of `names.COMPARED_KINDS`.
        rows: number, normalised form, surface and mentions of each name, numbered in the byte order of the forms.
    """

    def __init__(self, kind: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._resolver = _RESOLVERS[kind](Name(*row) for row in rows)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs of names of which it matters how many documents they share; of a name with itself, how many it has."""
        yield from sorted(self._resolver.together.pairs)

    def learn(self, shared: Iterable[tuple[int, int, int]]) -> None:
        """Take the answers: two names and how many documents have both; pairs without one may be left out."""
        self._resolver.together.documents = {(short, other): documents for short, other, documents in shared}

    def joins(self) -> Iterator[tuple[int, int, str, float]]:
        """Number, that of the identity's name, rule, how sure it is; what is not told of is an identity by itself."""
        for one in self._resolver.joins():
            yield one.number, one.canonical, one.rule, one.score
