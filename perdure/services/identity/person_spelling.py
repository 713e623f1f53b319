"""Finds misspelt names of people.

Two different first names mean two people, unless one of them cannot be a name: it is rare, one edit away from the
other, not a known given name, and not used with another last name in the run. The same holds for last names. The run
itself supplies the lists of names, so the rule works for every language.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from perdure.services.identity.given_names import GIVEN_NAMES
from perdure.services.identity.person import Person, compatible
from perdure.services.identity.spelling import MAX_COMPARED, RARER, count_edits, end_blocks, find_misspellings

_SHORTEST_FIRST = 4
_SHORTEST_LONE = 6
_ENDINGS = frozenset("aeiouy")


def find_misspelt_people(people: Sequence[Person], mentions: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of a misspelt name and the correct one, as indexes into `people`.

    Args:
        people: each once, the most mentioned first, ties by bytes.
        mentions: number of mentions of each.
    """
    lasts_of: dict[str, set[str]] = defaultdict(set)
    firsts_of: dict[str, set[str]] = defaultdict(set)
    for person in people:
        if len(person.first) > 1:
            lasts_of[person.first].add(person.last)
            firsts_of[person.last].add(person.first)
    given = {first for first, lasts in lasts_of.items() if len(lasts) > 1}
    family = {last for last, firsts in firsts_of.items() if len(firsts) > 1}

    def first_slip(rare: int, frequent: int) -> int:
        one, other = people[rare], people[frequent]
        if one.first in given or one.first in GIVEN_NAMES or not _rest_agrees(one, other):
            return 0
        return 0 if _other_ending(one.first, other.first) else count_edits(one.first, other.first, _SHORTEST_FIRST)

    def last_slip(rare: int, frequent: int) -> int:
        one, other = people[rare], people[frequent]
        return 0 if one.last in family or not _rest_agrees(one, other) else count_edits(one.last, other.last)

    whole = [one for one, person in enumerate(people) if len(person.first) > 1]
    wrong: dict[int, int] = {}
    for group in _grouped(whole, lambda one: people[one].last):
        wrong |= find_misspellings(group, lambda one: end_blocks(people[one].first), mentions.__getitem__, first_slip)
    rest = (one for one in whole if one not in wrong)
    for group in _grouped(rest, lambda one: people[one].first):
        wrong |= find_misspellings(group, lambda one: end_blocks(people[one].last), mentions.__getitem__, last_slip)
    return [(one, wrong.get(right, right)) for one, right in sorted(wrong.items())]


def find_misspelt_last_names(people: Sequence[Person], mentions: Sequence[int]) -> dict[str, str]:
    """Return misspelt last names that stand only alone or after initials, with the known last name of each.

    A last name is known if it occurs with a whole first name. A misspelling of two known names is left out.

    Args:
        people: each once, the most mentioned first, ties by bytes.
        mentions: number of mentions of each.
    """
    weights: dict[str, int] = defaultdict(int)
    for person, count in zip(people, mentions, strict=True):
        weights[person.last] += count
    known = dict.fromkeys(person.last for person in people if len(person.first) > 1)
    blocks: dict[str, list[str]] = defaultdict(list)
    for last in sorted(known, key=lambda last: (-weights[last], last)):
        for end in end_blocks(last):
            if len(blocks[end]) < MAX_COMPARED:
                blocks[end].append(last)
    corrections = {}
    for last in dict.fromkeys(person.last for person in people if person.last not in known):
        near: dict[int, set[str]] = defaultdict(set)
        for other in (other for end in end_blocks(last) for other in blocks.get(end, ())):
            if weights[other] >= RARER * weights[last] and not _other_ending(last, other):
                near[count_edits(last, other, _SHORTEST_LONE)].add(other)
        near.pop(0, None)
        nearest = near[min(near)] if near else set()
        if len(nearest) == 1:
            corrections[last] = nearest.pop()
    return corrections


def _grouped(numbers: Iterable[int], key: Callable[[int], str]) -> Iterable[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for one in numbers:
        groups[key(one)].append(one)
    return (group for group in groups.values() if len(group) > 1)


def _rest_agrees(one: Person, other: Person) -> bool:
    return compatible(Person("", one.middles, "", one.generation), Person("", other.middles, "", other.generation))


def _other_ending(one: str, other: str) -> bool:
    """Return whether two names differ in a last vowel only: "mario" and "maria" are two names."""
    return one[:-1] == other[:-1] and one[-1] in _ENDINGS and other[-1] in _ENDINGS
