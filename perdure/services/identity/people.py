"""Who is who among the people of a run.

First every misspelling goes to what it misspells. Then names are placed one after the other, the fullest first: each
goes to the one person whom it can mean, or begins a new one; if it can mean several, the documents in which it stands
decide, or it stays alone. A name never joins a person one of whose names contradicts it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from perdure.services.identity.clusters import Clusters
from perdure.services.identity.cooccurrence import MAX_CANDIDATES, Together
from perdure.services.identity.names import AMBIGUOUS, Joined, Name, joined
from perdure.services.identity.person import Person, compatible, parsed
from perdure.services.identity.person_spelling import misspelt_last_names, misspelt_people

_MAX_PLACED = 100
"""Names of one initial and last name that a shorter one is compared with: the first placed."""


class People:
    """Resolves the people of a run.

    Args:
        names: all of them, in any order.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        groups: dict[Person, list[Name]] = defaultdict(list)
        for name in names:
            if person := parsed(name.normalised):
                groups[person].append(name)
        ranked = sorted(
            (-sum(name.mentions for name in group), min(name.normalised for name in group), person)
            for person, group in groups.items()
        )
        self._people = [person for _, _, person in ranked]
        self._names = [sorted(groups[person], key=lambda name: name.weight) for person in self._people]
        self._rules = ["same_name"] * len(self._people)
        self._meant = list(self._people)
        self._clusters = Clusters(len(ranked), lambda one, other: compatible(self._meant[one], self._meant[other]))
        mentions = [-mentions for mentions, _, _ in ranked]
        self._last_names = misspelt_last_names(self._people, mentions)
        for one, person in enumerate(self._people):
            if right_last := self._last_names.get(person.last):
                self._meant[one] = replace(person, last=right_last)
        for rare, right in misspelt_people(self._people, mentions):
            self._meant[rare] = self._people[right]
            if self._clusters.join(right, rare, alike=True):
                self._rules[rare] = "typing_error"
        self._order = sorted(
            (one for one, rule in enumerate(self._rules) if rule == "same_name"),
            key=lambda one: (*(-part for part in self._people[one].fullness), one),
        )
        self._bearers: dict[str, list[int]] = defaultdict(list)
        """First name to the fullest names of those who have it, as far as it matters whether they are many."""
        self.together = Together()
        self._ask()

    def joins(self) -> Iterator[Joined]:
        """Every name that is not an identity by itself, and every one that stays alone because it is ambiguous."""
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for one in self._order:
            self._place(one, placed)
        for members in self._clusters.sets():
            head = min(
                members, key=lambda one: (self._rules[one] == "typing_error", *_least_full(self._people[one]), one)
            )
            yield from joined(head, members, self._names, self._rules)

    def _ask(self) -> None:
        """Which names might mean several people; a cheaper and wider question than `_place` asks."""
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for one in self._order:
            person = self._meant[one]
            found = [other for other in self._fuller(one, placed) if compatible(person, self._meant[other])]
            if not person.first and not found:
                found = self._bearers.get(person.last, [])
                found = found if len(found) <= MAX_CANDIDATES else []
            elif len(found) == 1:
                found = []
            self.together.ask(self._number(one), map(self._number, found))
            self._record(one, placed)
            if len(person.first) > 1 and len(bearers := self._bearers[person.first]) <= MAX_CANDIDATES:
                bearers.append(one)

    def _place(self, one: int, placed: dict[tuple[str, ...], list[int]]) -> None:
        person = self._meant[one]
        found = dict.fromkeys(map(self._clusters.find, self._fuller(one, placed)))
        candidates = [root for root in found if self._clusters.admits(one, root)]
        if len(candidates) == 1:
            self._join(one, candidates[0], "typing_error" if self._people[one] != person else _rule(person))
        elif candidates:
            chosen = self.together.choice(self._number(one), [(root, self._numbers(root)) for root in candidates])
            if chosen is None:
                self._rules[one] = AMBIGUOUS
            else:
                self._join(one, chosen, "same_documents")
        elif not person.first and 0 < len(bearers := self._bearers.get(person.last, [])) <= MAX_CANDIDATES:
            roots = dict.fromkeys(map(self._clusters.find, bearers))
            chosen = self.together.choice(self._number(one), [(root, self._numbers(root)) for root in roots])
            if chosen is not None:
                self._meant[one] = self._people[chosen]
                self._join(one, chosen, "first_name")
        self._record(one, placed)

    def _join(self, one: int, other: int, rule: str) -> None:
        if self._clusters.join(one, other):
            self._rules[one] = rule

    def _fuller(self, one: int, placed: dict[tuple[str, ...], list[int]]) -> list[int]:
        """Names placed before, fuller therefore, of the same last name and as much of the first as is known."""
        return placed.get(_block(self._meant[one]), [])

    def _record(self, one: int, placed: dict[tuple[str, ...], list[int]]) -> None:
        person = self._meant[one]
        for block in {(person.last,), (person.last, person.first[:1]), (person.last, person.first)}:
            if len(block) == 1 or block[1]:
                names = placed[block]
                if len(names) < _MAX_PLACED:
                    names.append(one)

    def _number(self, one: int) -> int:
        return self._names[one][0].number

    def _numbers(self, root: int) -> list[int]:
        return [self._number(member) for member in self._clusters.members(root)]


def _block(person: Person) -> tuple[str, ...]:
    return (person.last, person.first) if person.first else (person.last,)


def _least_full(person: Person) -> tuple[int, ...]:
    return tuple(-part for part in person.fullness)


def _rule(person: Person) -> str:
    if not person.first:
        return "last_name"
    return "initials" if len(person.first) == 1 else "fuller_name"
