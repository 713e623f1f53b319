"""The parts of a person's name, and when two such names cannot be of one person."""

import re
from dataclasses import dataclass
from functools import cache

from perdure.services.identity.names import tokens

_DIGIT = re.compile(r"\d")
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})
_INITIALS = 2
_VOWELS = frozenset("aeiouy")


@dataclass(slots=True, frozen=True)
class Person:
    """A name in parts, each folded: given names are whole or initials; whatever is not known is empty."""

    first: str
    middles: tuple[str, ...]
    last: str
    generation: str = ""

    @property
    def fullness(self) -> tuple[int, int, int, int]:
        """Sorts fuller names after less full ones."""
        return (
            min(len(self.first), 2),
            sum(len(one) > 1 for one in self.middles),
            len(self.middles),
            bool(self.generation),
        )


def parsed(normalised: str) -> Person | None:
    """The parts of a normalised name, None if it is none of a person: too long, empty, or with digits."""
    words = tokens(normalised)
    if not words or _DIGIT.search(normalised):
        return None
    if len(words) == 1:
        return Person("", (), words[0])
    if not _special().isdisjoint(words) or len(words) > 3:  # noqa: PLR2004 - first, middle, last
        return _parsed_by_library(words)
    return _with_initials_apart(words[0], words[1:-1], words[-1], "")


@cache
def _special() -> frozenset[str]:
    """Words that are titles, particles of a last name, or come after it; the parts are then for the library to tell."""
    from nameparser.config import CONSTANTS  # noqa: PLC0415 - an eighth of a second that small runs may not need

    groups = (CONSTANTS.titles, CONSTANTS.prefixes, CONSTANTS.suffix_acronyms, CONSTANTS.suffix_not_acronyms)
    return frozenset(str(word) for group in (*groups, CONSTANTS.conjunctions) for word in group) | _GENERATIONS


def _parsed_by_library(words: list[str]) -> Person | None:
    from nameparser import HumanName  # noqa: PLC0415 - as above

    name = HumanName(" ".join(words))
    first, middles, last = (part.replace(".", "").split() for part in (name.first, name.middle, name.last))
    if not last:
        first, last = [], first
    if not last:
        return None
    generation = next(
        (one for one in name.suffix.replace(",", " ").replace(".", "").split() if one in _GENERATIONS), ""
    )
    return _with_initials_apart("".join(first), middles, "".join(last), generation)


def _with_initials_apart(first: str, middles: list[str], last: str, generation: str) -> Person:
    if len(first) == _INITIALS and not _VOWELS & set(first):  # "jk rowling"
        first, middles = first[0], [first[1], *middles]
    return Person(first, tuple(middles), last, generation)


def compatible(one: Person, other: Person) -> bool:
    """Whether both can be the same person: of one last name, and nothing known of one contradicts the other."""
    if one.last != other.last or (one.generation and other.generation and one.generation != other.generation):
        return False
    if not _agree(one.first, other.first):
        return False
    if not one.middles or not other.middles:
        return True
    return all(_agree(mine, theirs) for mine, theirs in zip(one.middles, other.middles, strict=False))


def _agree(one: str, other: str) -> bool:
    if not one or not other:
        return True
    return one[0] == other[0] if len(one) == 1 or len(other) == 1 else one == other
