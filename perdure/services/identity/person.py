"""The parts of a person's name, and the test whether two names can belong to one person."""

import re
from dataclasses import dataclass
from functools import cache

from perdure.services.identity.names import split_words

_DIGIT = re.compile(r"\d")
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})
_INITIALS = 2
_VOWELS = frozenset("aeiouy")


@dataclass(slots=True, frozen=True)
class Person:
    """A name in folded parts: given names are whole or initials, and unknown parts are empty."""

    first: str
    middles: tuple[str, ...]
    last: str
    generation: str = ""

    @property
    def fullness(self) -> tuple[int, int, int, int]:
        """Return a sort key that orders fuller names after less full ones."""
        return (
            min(len(self.first), 2),
            sum(len(middle) > 1 for middle in self.middles),
            len(self.middles),
            bool(self.generation),
        )


def parse_person(normalised: str) -> Person | None:
    """Return the parts of a normalised name; None if it is too long, empty, or contains digits."""
    words = split_words(normalised)
    if not words or _DIGIT.search(normalised):
        return None
    if len(words) == 1:
        return Person("", (), words[0])
    if not _special().isdisjoint(words) or len(words) > 3:  # noqa: PLR2004 - first, middle, last
        return _parse_with_library(words)
    return _split_initials(words[0], words[1:-1], words[-1], "")


@cache
def _special() -> frozenset[str]:
    """Return titles, particles of last names and suffixes: nameparser parses names that contain one of them."""
    from nameparser.config import CONSTANTS  # noqa: PLC0415 - loading takes 0.125 s, and small runs may not need it

    groups = (CONSTANTS.titles, CONSTANTS.prefixes, CONSTANTS.suffix_acronyms, CONSTANTS.suffix_not_acronyms)
    return frozenset(str(word) for group in (*groups, CONSTANTS.conjunctions) for word in group) | _GENERATIONS


def _parse_with_library(words: list[str]) -> Person | None:
    from nameparser import HumanName  # noqa: PLC0415 - loading takes 0.125 s, and small runs may not need it

    name = HumanName(" ".join(words))
    first, middles, last = (part.replace(".", "").split() for part in (name.first, name.middle, name.last))
    if not last:
        last = first
        first = []
    if not last:
        return None
    generation = next(
        (word for word in name.suffix.replace(",", " ").replace(".", "").split() if word in _GENERATIONS), ""
    )
    return _split_initials("".join(first), middles, "".join(last), generation)


def _split_initials(first: str, middles: list[str], last: str, generation: str) -> Person:
    if len(first) == _INITIALS and not _VOWELS & set(first):  # "jk rowling"
        middles = [first[1], *middles]
        first = first[0]
    return Person(first, tuple(middles), last, generation)


def compatible(person: Person, other: Person) -> bool:
    """Return whether two names can belong to one person: equal last names and no contradicting part."""
    if person.last != other.last:
        return False
    if person.generation and other.generation and person.generation != other.generation:
        return False
    if not _agree(person.first, other.first):
        return False
    if not person.middles or not other.middles:
        return True
    return all(map(_agree, person.middles, other.middles))


def _agree(part: str, other: str) -> bool:
    if not part or not other:
        return True
    return part[0] == other[0] if len(part) == 1 or len(other) == 1 else part == other
