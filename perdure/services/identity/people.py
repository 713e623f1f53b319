"""Resolves the people of a run.

First, each misspelling joins the name that it misspells. Then names are placed one after another, the fullest first. A
name joins the only person whom it can mean, or starts a new person. If it can mean several people, the documents that
contain it decide, or the name stays alone. A name never joins a person if it contradicts one of that person's names.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from perdure.services.identity.clusters import Clusters
from perdure.services.identity.cooccurrence import MAX_CANDIDATES, Cooccurrence
from perdure.services.identity.names import AMBIGUOUS, Joined, Name, join_names
from perdure.services.identity.person import Person, compatible, parse_person
from perdure.services.identity.person_spelling import find_misspelt_last_names, find_misspelt_people

_MAX_PLACED = 100
"""Number of placed names, of one initial and last name, with which a shorter name is compared."""


class People:
    """Resolves the people of a run.

    Args:
        names: all names of people, in any order.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        """Join misspellings, and request the counts that short names need."""
        groups: dict[Person, list[Name]] = defaultdict(list)
        for name in names:
            if person := parse_person(name.normalised):
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
        self._last_names = find_misspelt_last_names(self._people, mentions)
        for one, person in enumerate(self._people):
            if right_last := self._last_names.get(person.last):
                self._meant[one] = replace(person, last=right_last)
        for rare, right in find_misspelt_people(self._people, mentions):
            self._meant[rare] = self._people[right]
            if self._clusters.join(right, rare, alike=True):
                self._rules[rare] = "typing_error"
        self._order = sorted(
            (one for one, rule in enumerate(self._rules) if rule == "same_name"),
            key=lambda one: (*(-part for part in self._people[one].fullness), one),
        )
        self._bearers: dict[str, list[int]] = defaultdict(list)
        """First name to the fullest names of the people with it; at most one more than `MAX_CANDIDATES`."""
        self.cooccurrence = Cooccurrence()
        self._request_counts()

    def joins(self) -> Iterator[Joined]:
        """Yield every name that joins another name's identity, and every ambiguous name."""
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for one in self._order:
            self._place(one, placed)
        for members in self._clusters.sets():
            head = min(
                members, key=lambda one: (self._rules[one] == "typing_error", *_least_full(self._people[one]), one)
            )
            yield from join_names(head, members, self._names, self._rules)

    def _request_counts(self) -> None:
        """Request the counts for names that may mean several people; a cheaper and wider test than that of `_place`."""
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for one in self._order:
            person = self._meant[one]
            candidates = [other for other in self._fuller(one, placed) if compatible(person, self._meant[other])]
            if not person.first and not candidates:
                candidates = self._bearers.get(person.last, [])
                candidates = candidates if len(candidates) <= MAX_CANDIDATES else []
            elif len(candidates) == 1:
                candidates = []
            self.cooccurrence.request(self._number(one), map(self._number, candidates))
            self._record(one, placed)
            if len(person.first) > 1 and len(bearers := self._bearers[person.first]) <= MAX_CANDIDATES:
                bearers.append(one)

    def _place(self, one: int, placed: dict[tuple[str, ...], list[int]]) -> None:
        person = self._meant[one]
        fuller = dict.fromkeys(map(self._clusters.find, self._fuller(one, placed)))
        candidates = [root for root in fuller if self._clusters.admits(one, root)]
        if len(candidates) == 1:
            self._join(one, candidates[0], "typing_error" if self._people[one] != person else _rule(person))
        elif candidates:
            chosen = self.cooccurrence.choose(self._number(one), [(root, self._numbers(root)) for root in candidates])
            if chosen is None:
                self._rules[one] = AMBIGUOUS
            else:
                self._join(one, chosen, "same_documents")
        elif not person.first and 0 < len(bearers := self._bearers.get(person.last, [])) <= MAX_CANDIDATES:
            roots = dict.fromkeys(map(self._clusters.find, bearers))
            chosen = self.cooccurrence.choose(self._number(one), [(root, self._numbers(root)) for root in roots])
            if chosen is not None:
                self._meant[one] = self._people[chosen]
                self._join(one, chosen, "first_name")
        self._record(one, placed)

    def _join(self, one: int, other: int, rule: str) -> None:
        if self._clusters.join(one, other):
            self._rules[one] = rule

    def _fuller(self, one: int, placed: dict[tuple[str, ...], list[int]]) -> list[int]:
        """Return the placed, and therefore fuller, names with the same last name and the known part of the first."""
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
