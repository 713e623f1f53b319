"""A generated run whose every mention has a known true identity.

Each document is about a few people, organisations and places. A document usually introduces a name in full and shortens
the name afterwards. Mentions have typing errors, and lack accents, legal forms and middle names. People share last
names, initials and, rarely, whole names.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from perdure.analysis.mentions import normalise
from perdure.services.identity.names import fold
from tests.identities.word_lists import WordLists

_MENTIONS_OF_DOCUMENT = 20
_SUBJECTS = 6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class MadeMention:
    """A generated mention; `truth` is the number of its true identity."""

    position: int
    kind: str
    surface: str
    normalised: str
    truth: int


@dataclass(frozen=True, slots=True)
class _Entity:
    number: int
    kind: str
    parts: tuple[str, ...]


class GeneratedRun:
    """An iterable of generated mentions, document by document.

    Args:
        seed: the same seed gives the same mentions.
        words: the parts of the names.
        mentions: approximate number of mentions.
        typing_errors: share of misspelt mentions, from 0 to 1.
    """

    def __init__(self, seed: int, words: WordLists, mentions: int, typing_errors: float = 0.02) -> None:
        self._chance = random.Random(seed)
        self._words = words
        self._mentions = mentions
        self._typing_errors = typing_errors
        people = max(20, mentions // 25)
        organisations = max(12, mentions // 40)
        places = max(6, mentions // 200)
        named = [
            *(("person", self._person()) for _ in range(people)),
            *(("organisation", self._organisation()) for _ in range(organisations)),
            *(("place", self._place()) for _ in range(places)),
        ]
        # Places and organisations of the same name are the same identity; people of the same name are not.
        numbers: dict[object, int] = {}
        self._entities = [
            _Entity(numbers.setdefault((kind, parts, number if kind == "person" else 0), number), kind, parts)
            for number, (kind, parts) in enumerate(named)
        ]
        self._chance.shuffle(self._entities)
        self._weights = list(accumulate(1 / (rank + 10) ** 0.7 for rank in range(len(self._entities))))

    def __iter__(self) -> Iterator[MadeMention]:
        """Yield the mentions in the order of the documents."""
        for position in range(max(1, self._mentions // _MENTIONS_OF_DOCUMENT)):
            subjects = self._chance.choices(self._entities, cum_weights=self._weights, k=_SUBJECTS)
            introduced: set[int] = set()
            for _ in range(_MENTIONS_OF_DOCUMENT):
                entity = self._chance.choice(subjects)
                surface = self._surface(entity, first=entity.number not in introduced)
                introduced.add(entity.number)
                if self._chance.random() < self._typing_errors:
                    surface = self._misspell(surface)
                if normalised := normalise(surface, entity.kind):
                    yield MadeMention(position, entity.kind, surface, normalised, entity.number)

    def _pick(self, words: list[str]) -> str:
        return words[min(int(self._chance.expovariate(3 / len(words))), len(words) - 1)]

    def _person(self) -> tuple[str, ...]:
        parts = self._words.last_parts
        last = self._pick(self._words.lasts)
        kind = self._chance.random()
        if kind > 0.17:  # 0.17: the share of the 100 most frequent last names in the United States
            last = self._chance.choice(parts[0]) + self._chance.choice(parts[1])
        if kind > 0.4:  # 0.4: the share of the 1,000 most frequent last names
            last = self._chance.choice(parts[0]) + self._chance.choice(parts[0]).lower() + self._chance.choice(parts[1])
        middle = self._pick(self._words.firsts) if self._chance.random() < 0.3 else ""
        return self._pick(self._words.firsts), middle, last

    def _organisation(self) -> tuple[str, ...]:
        heads = self._words.heads
        head = self._chance.choice(heads[0]) + self._chance.choice(["", *heads[1]])
        kind = self._chance.random()
        if kind < 0.35:
            name = f"{head} {self._chance.choice(self._words.trades)}"
        elif kind < 0.6:
            name = f"{head} {self._chance.choice(heads[0])} {self._chance.choice(self._words.trades)}"
        elif kind < 0.75:
            name = f"{self._person()[2]} & {self._person()[2]}"
        elif kind < 0.9:
            name = f"{self._chance.choice(self._words.trades)} Institute of {self._place()[0]}"
        else:
            name = head + self._chance.choice(heads[1])
        return name, self._chance.choice(self._words.legal_forms)

    def _place(self) -> tuple[str, ...]:
        if self._chance.random() < 0.2:
            return (self._chance.choice(self._words.places),)
        parts = self._words.place_parts
        name = self._chance.choice(parts[0]) + self._chance.choice(parts[1])
        before = self._chance.choices(["", "St. ", "North ", "Mount ", "Port "], [75, 10, 5, 5, 5])[0]
        return (before + name,)

    def _surface(self, entity: _Entity, *, first: bool) -> str:
        if entity.kind == "person":
            surface = self._vary_person(*entity.parts, first=first)
        else:
            surface = (
                self._vary_organisation(*entity.parts, first=first)
                if len(entity.parts) > 1
                else self._vary_place(*entity.parts)
            )
        dice = self._chance.random()
        if dice < 0.03:
            return surface.upper()
        return "".join(fold(char) if not char.isascii() else char for char in surface) if dice < 0.1 else surface

    def _vary_person(self, given: str, middle: str, last: str, *, first: bool) -> str:
        full = [f"{given} {last}", f"{given} {middle} {last}", f"{given} {middle[:1]}. {last}"] if middle else []
        full = full or [f"{given} {last}"] * 3
        forms = [*full, f"{last}, {given}", f"Dr. {given} {last}", f"{given[0]}. {last}", last, f"Mr. {last}"]
        weights = [60, 8, 10, 8, 4, 7, 2, 1] if first else [35, 2, 3, 2, 1, 12, 35, 10]
        return self._chance.choices(forms, weights)[0]

    def _vary_organisation(self, name: str, legal_form: str, *, first: bool) -> str:
        words = [word for word in name.split() if word not in {"&", "of"}]
        acronym = "".join(word[0].upper() for word in words) if len(words) > 2 else name
        forms = [name, f"{name} {legal_form}", f"the {name}", name.replace("&", "and"), acronym]
        return self._chance.choices(forms, [40, 30, 10, 18, 2] if first else [45, 10, 15, 10, 20])[0]

    def _vary_place(self, name: str) -> str:
        forms = [name, f"the {name}", name.replace("St. ", "Saint ").replace("Mount ", "Mt. ")]
        return self._chance.choices(forms, [80, 3, 17])[0]

    def _misspell(self, surface: str) -> str:
        at = self._chance.randrange(len(surface))
        letter = self._chance.choice(_ALPHABET)
        edits = [
            surface[:at] + letter + surface[at + 1 :],
            surface[:at] + letter + surface[at:],
            surface[:at] + surface[at + 1 :],
            surface[:at] + surface[at + 1 : at + 2] + surface[at : at + 1] + surface[at + 2 :],
        ]
        return self._chance.choice(edits)
