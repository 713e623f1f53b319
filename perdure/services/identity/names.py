"""The distinct names of a run, and the forms in which the rules compare them."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

COMPARED_KINDS = ("organisation", "person", "place")
"""Kinds whose names the rules compare. Names of another kind share an identity only if they are equal."""
MAX_CHARACTERS = 120
"""Most characters of a name that the rules compare. Longer names are not compared."""
MAX_TOKENS = 10
"""Most words of a name that the rules compare."""

# NFKD leaves these letters unchanged.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})  # noqa: RUF001 - a Turkish letter
_JOINERS = re.compile(r"[-'’‘`´.·‐‑]")  # noqa: RUF001 - documents contain these characters
_BREAKS = re.compile(r"[^\w&+]+|_")


@dataclass(slots=True, frozen=True)
class Name:
    """A distinct name of a kind; `number` is its place in the byte order of all names."""

    number: int
    normalised: str
    surface: str
    mentions: int

    @property
    def weight(self) -> tuple[int, str]:
        """Return a sort key: most mentioned first, ties by bytes."""
        return -self.mentions, self.normalised


@dataclass(slots=True, frozen=True)
class Joined:
    """The join of a name to the identity of the name `canonical`.

    `score` is the score of the rule, from 0 to 1. An ambiguous name has its own number as `canonical`, and the rule
    `AMBIGUOUS`.
    """

    number: int
    canonical: int
    rule: str
    score: float


AMBIGUOUS = "ambiguous"
SCORES = {
    "same_name": 1.0,
    "spelling": 0.97,
    "fuller_name": 0.95,
    "typing_error": 0.9,
    "acronym_in_document": 0.9,
    "initials": 0.9,
    "short_form": 0.85,
    "last_name": 0.85,
    "same_documents": 0.8,
    "acronym": 0.75,
    "first_name": 0.75,
    AMBIGUOUS: 0.5,
}
"""Score of each rule; docs/services.md describes the rules."""


@cache
def _fold_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_PLAIN)


def fold(text: str) -> str:
    """Return the text without case and accents."""
    text = text.casefold()
    return text if text.isascii() else "".join(map(_fold_character, text)).casefold()


def split_words(text: str) -> list[str]:
    """Return the folded words of a name; empty if the name is too long to compare.

    A hyphen or an apostrophe joins two words into one.
    """
    if len(text) > MAX_CHARACTERS:
        return []
    words = _BREAKS.sub(" ", _JOINERS.sub("", fold(text))).split()
    return words if len(words) <= MAX_TOKENS else []


def join_names(
    head: int, members: Sequence[int], names: Sequence[Sequence[Name]], rules: Sequence[str]
) -> Iterator[Joined]:
    """Yield the joins of all names of one identity.

    Args:
        head: the member by which the identity is known.
        members: all members of the identity.
        names: for every member, the names that have the form of this member, most mentioned first.
        rules: for every member, the rule that joined it to the identity.
    """
    canonical = names[head][0].number
    for member in members:
        rule = rules[member]
        if member == head:
            if rule == AMBIGUOUS:
                yield Joined(canonical, canonical, rule, SCORES[rule])
            spellings = names[head][1:]
            rule = "spelling"
        else:
            spellings = names[member]
        for name in spellings:
            yield Joined(name.number, canonical, rule, SCORES[rule])
