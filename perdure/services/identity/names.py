"""The distinct names of a run, and the forms in which they are compared."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

COMPARED_KINDS = ("organisation", "person", "place")
"""Names of other kinds (dates, sums, addresses, identifiers) are the same only when they are equal."""
MAX_CHARACTERS = 120
MAX_TOKENS = 10
"""Whatever is longer is no name that a person would misspell: it is compared with nothing."""

# Letters that decompose into nothing plainer.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})  # noqa: RUF001 - a Turkish letter
_JOINERS = re.compile(r"[-'’‘`´.·‐‑]")  # noqa: RUF001 - as documents have them
_BREAKS = re.compile(r"[^\w&+]+|_")


@dataclass(slots=True, frozen=True)
class Name:
    """One distinct name of a kind: its number in the byte order of all of them, and how often it is mentioned."""

    number: int
    normalised: str
    surface: str
    mentions: int

    @property
    def weight(self) -> tuple[int, str]:
        """Sorts the most mentioned first, ties by bytes."""
        return -self.mentions, self.normalised


@dataclass(slots=True, frozen=True)
class Joined:
    """That a name belongs to the identity of another, `canonical`, by which rule, and how sure that is (0 to 1).

    A name left alone because it could mean several has itself as canonical and the rule `AMBIGUOUS`.
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
"""Rule to how sure a join by it is; what the rules are stands in docs/services.md."""


@cache
def _folded_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character)
    return "".join(one for one in plain if not unicodedata.combining(one)).translate(_PLAIN)


def folded(text: str) -> str:
    """Without case and accents."""
    text = text.casefold()
    return text if text.isascii() else "".join(map(_folded_character, text)).casefold()


def tokens(text: str) -> list[str]:
    """The words of a name, folded; what a hyphen or an apostrophe joins is one word. Empty if it is not comparable."""
    if len(text) > MAX_CHARACTERS:
        return []
    words = _BREAKS.sub(" ", _JOINERS.sub("", folded(text))).split()
    return words if len(words) <= MAX_TOKENS else []


def joined(
    head: int, members: Sequence[int], names: Sequence[Sequence[Name]], rules: Sequence[str]
) -> Iterator[Joined]:
    """What became of all names of one identity.

    Args:
        head: the member that the identity is known by.
        members: all of them.
        names: of every member, those that read the same, the most mentioned first.
        rules: by which each member came to the identity.
    """
    canonical = names[head][0].number
    for member in members:
        rule = rules[member]
        if member == head:
            if rule == AMBIGUOUS:
                yield Joined(canonical, canonical, rule, SCORES[rule])
            spelt = names[head][1:]
            rule = "spelling"
        else:
            spelt = names[member]
        for name in spelt:
            yield Joined(name.number, canonical, rule, SCORES[rule])
