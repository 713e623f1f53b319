"""Finds misspelt names of people.

Two different first names mean two people, unless one of them counts as a misspelling. A misspelling is rare, is one
edit away from the other name, is no known given name, and is not used with another last name in the run. The same holds
for last names. The run itself supplies the lists of names, so the rule works for every language.
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
    """Return pairs of a misspelt name and the correct name, as indexes into `people`.

    Args:
        people: each person's name once, the most mentioned first, ties by bytes.
        mentions: number of mentions of each name.
    """
    lasts_of: dict[str, set[str]] = defaultdict(set)
    firsts_of: dict[str, set[str]] = defaultdict(set)
    for person in people:
        if len(person.first) > 1:
            lasts_of[person.first].add(person.last)
            firsts_of[person.last].add(person.first)
    given = {first for first, lasts in lasts_of.items() if len(lasts) > 1}
    family = {last for last, firsts in firsts_of.items() if len(firsts) > 1}

    def count_first_name_edits(rare: int, frequent: int) -> int:
        suspect = people[rare]
        known = people[frequent]
        if suspect.first in given or suspect.first in GIVEN_NAMES or not _rest_agrees(suspect, known):
            return 0
        if _differ_in_last_vowel(suspect.first, known.first):
            return 0
        return count_edits(suspect.first, known.first, _SHORTEST_FIRST)

    def count_last_name_edits(rare: int, frequent: int) -> int:
        suspect = people[rare]
        known = people[frequent]
        if suspect.last in family or not _rest_agrees(suspect, known):
            return 0
        return count_edits(suspect.last, known.last)

    with_first_name = [index for index, person in enumerate(people) if len(person.first) > 1]
    misspelt: dict[int, int] = {}
    for group in _group(with_first_name, lambda index: people[index].last):
        misspelt |= find_misspellings(
            group, lambda index: end_blocks(people[index].first), mentions.__getitem__, count_first_name_edits
        )
    rest = (index for index in with_first_name if index not in misspelt)
    for group in _group(rest, lambda index: people[index].first):
        misspelt |= find_misspellings(
            group, lambda index: end_blocks(people[index].last), mentions.__getitem__, count_last_name_edits
        )
    return [(index, misspelt.get(correct, correct)) for index, correct in sorted(misspelt.items())]


def find_misspelt_last_names(people: Sequence[Person], mentions: Sequence[int]) -> dict[str, str]:
    """Return the correct last name of each misspelt last name.

    A misspelt last name occurs only alone or after initials. A last name is known if it occurs with a whole first name.
    A name that can be a misspelling of two known names is left out.

    Args:
        people: each person's name once, the most mentioned first, ties by bytes.
        mentions: number of mentions of each name.
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
            if weights[other] >= RARER * weights[last] and not _differ_in_last_vowel(last, other):
                near[count_edits(last, other, _SHORTEST_LONE)].add(other)
        near.pop(0, None)
        nearest = near[min(near)] if near else set()
        if len(nearest) == 1:
            corrections[last] = nearest.pop()
    return corrections


def _group(numbers: Iterable[int], key: Callable[[int], str]) -> Iterable[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in numbers:
        groups[key(index)].append(index)
    return (group for group in groups.values() if len(group) > 1)


def _rest_agrees(person: Person, other: Person) -> bool:
    return compatible(
        Person("", person.middles, "", person.generation), Person("", other.middles, "", other.generation)
    )


def _differ_in_last_vowel(name: str, other: str) -> bool:
    """Return whether two names differ in the last vowel only.

    Such names, like "mario" and "maria", are two names.
    """
    return name[:-1] == other[:-1] and name[-1] in _ENDINGS and other[-1] in _ENDINGS
