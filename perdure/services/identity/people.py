"""Resolves the people of a run.

First, each misspelling joins the name that it misspells. Then names are placed one after another, the fullest first. A
name joins the only person whom it can mean, or starts a new person. If a name can mean several people, the name joins
the person with whom it shares most documents, or stays alone. A name never joins a person if the name contradicts one
of that person's names.
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
"""Most placed names of one initial and last name with which a shorter name is compared."""


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
        self._clusters = Clusters(
            len(ranked), lambda first, second: compatible(self._meant[first], self._meant[second])
        )
        mentions = [-mentions for mentions, _, _ in ranked]
        self._last_names = find_misspelt_last_names(self._people, mentions)
        for index, person in enumerate(self._people):
            if correct_last := self._last_names.get(person.last):
                self._meant[index] = replace(person, last=correct_last)
        for rare, correct in find_misspelt_people(self._people, mentions):
            self._meant[rare] = self._people[correct]
            if self._clusters.join(correct, rare, alike=True):
                self._rules[rare] = "typing_error"
        self._order = sorted(
            (index for index, rule in enumerate(self._rules) if rule == "same_name"),
            key=lambda index: (*(-part for part in self._people[index].fullness), index),
        )
        self._bearers: dict[str, list[int]] = defaultdict(list)
        """The people with each first name, as indexes of names. A longer list than `MAX_CANDIDATES` is not used."""
        self.cooccurrence = Cooccurrence()
        self._request_counts()

    def joins(self) -> Iterator[Joined]:
        """Yield every name that joins another name's identity, and every ambiguous name."""
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index in self._order:
            self._place(index, placed)
        for members in self._clusters.sets():
            head = min(
                members,
                key=lambda index: (self._rules[index] == "typing_error", *_rank_fullness(self._people[index]), index),
            )
            yield from join_names(head, members, self._names, self._rules)

    def _request_counts(self) -> None:
        """Request the counts for names that may mean several people.

        This test is cheaper than the test in `_place`, and requests more counts than `_place` needs.
        """
        placed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index in self._order:
            person = self._meant[index]
            candidates = [
                other_index
                for other_index in self._find_fuller(index, placed)
                if compatible(person, self._meant[other_index])
            ]
            if not person.first and not candidates:
                candidates = self._bearers.get(person.last, [])
                candidates = candidates if len(candidates) <= MAX_CANDIDATES else []
            elif len(candidates) == 1:
                candidates = []
            self.cooccurrence.request(self._get_number(index), map(self._get_number, candidates))
            self._record(index, placed)
            if len(person.first) > 1 and len(bearers := self._bearers[person.first]) <= MAX_CANDIDATES:
                bearers.append(index)

    def _place(self, index: int, placed: dict[tuple[str, ...], list[int]]) -> None:
        person = self._meant[index]
        fuller = dict.fromkeys(map(self._clusters.find, self._find_fuller(index, placed)))
        candidates = [root for root in fuller if self._clusters.admits(index, root)]
        if len(candidates) == 1:
            self._join(index, candidates[0], "typing_error" if self._people[index] != person else _choose_rule(person))
        elif candidates:
            chosen = self.cooccurrence.choose(
                self._get_number(index), [(root, self._list_numbers(root)) for root in candidates]
            )
            if chosen is None:
                self._rules[index] = AMBIGUOUS
            else:
                self._join(index, chosen, "same_documents")
        elif not person.first and 0 < len(bearers := self._bearers.get(person.last, [])) <= MAX_CANDIDATES:
            roots = dict.fromkeys(map(self._clusters.find, bearers))
            chosen = self.cooccurrence.choose(
                self._get_number(index), [(root, self._list_numbers(root)) for root in roots]
            )
            if chosen is not None:
                self._meant[index] = self._people[chosen]
                self._join(index, chosen, "first_name")
        self._record(index, placed)

    def _join(self, index: int, other_index: int, rule: str) -> None:
        if self._clusters.join(index, other_index):
            self._rules[index] = rule

    def _find_fuller(self, index: int, placed: dict[tuple[str, ...], list[int]]) -> list[int]:
        """Return the fuller names with the same last name and the known part of the first name.

        The fuller names are already placed.
        """
        return placed.get(_make_block(self._meant[index]), [])

    def _record(self, index: int, placed: dict[tuple[str, ...], list[int]]) -> None:
        person = self._meant[index]
        for block in {(person.last,), (person.last, person.first[:1]), (person.last, person.first)}:
            if len(block) == 1 or block[1]:
                names = placed[block]
                if len(names) < _MAX_PLACED:
                    names.append(index)

    def _get_number(self, index: int) -> int:
        return self._names[index][0].number

    def _list_numbers(self, root: int) -> list[int]:
        return [self._get_number(member) for member in self._clusters.members(root)]


def _make_block(person: Person) -> tuple[str, ...]:
    return (person.last, person.first) if person.first else (person.last,)


def _rank_fullness(person: Person) -> tuple[int, ...]:
    return tuple(-part for part in person.fullness)


def _choose_rule(person: Person) -> str:
    if not person.first:
        return "last_name"
    return "initials" if len(person.first) == 1 else "fuller_name"
