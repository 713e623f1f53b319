"""Resolves places: joins the spellings and misspellings of the same place."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from perdure.services.identity.clusters import Clusters
from perdure.services.identity.cooccurrence import Cooccurrence
from perdure.services.identity.names import Joined, Name, join_names, split_words
from perdure.services.identity.spelling import count_edits, end_blocks, find_misspellings

_SAME_WORDS = {"st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort", "is": "island", "mtns": "mountains"}
_SAME_PLACES = {
    "us": "united states", "usa": "united states", "united states of america": "united states", "uk": "united kingdom",
    "great britain": "united kingdom", "uae": "united arab emirates", "ussr": "soviet union", "nyc": "new york city",
    "la": "los angeles", "dc": "washington dc", "washington d c": "washington dc",
    "u s": "united states", "u s a": "united states", "u k": "united kingdom",
}  # fmt: skip
_SHORTEST = 5
"""Least length of a word that can be a misspelling."""
_DIRECTIONS = frozenset(
    ["north", "south", "east", "west", "northern", "southern", "eastern", "western", "new", "upper", "lower"]
)


class Places:
    """Resolves the places of a run.

    Args:
        names: all names of places, in any order.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        """Group the names by their words."""
        groups: dict[tuple[str, ...], list[Name]] = defaultdict(list)
        for name in sorted(names, key=lambda name: name.weight):
            if words := words_of(name.normalised):
                groups[words].append(name)
        ranked = sorted(
            (-sum(name.mentions for name in group), group[0].normalised, key) for key, group in groups.items()
        )
        self._words = [words for _, _, words in ranked]
        self._names = [groups[words] for words in self._words]
        self._mentions = [-mentions for mentions, _, _ in ranked]
        self.cooccurrence = Cooccurrence()

    def joins(self) -> Iterator[Joined]:
        """Yield every name that joins another name's identity."""
        rules = ["same_name"] * len(self._words)
        correct = dict(
            find_misspellings(
                range(len(self._words)), self._make_blocks, self._mentions.__getitem__, self._measure_distance
            )
        )
        clusters = Clusters(len(rules), lambda first, second: correct.get(first, first) == correct.get(second, second))
        for rare, frequent in correct.items():
            if clusters.join(frequent, rare):
                rules[rare] = "typing_error"
        for members in clusters.sets():
            head = min(members, key=lambda index: (index in correct, index))
            yield from join_names(head, members, self._names, rules)

    def _make_blocks(self, index: int) -> Sequence[Hashable]:
        words = self._words[index]
        return [hash((words[:at], end, words[at + 1 :])) for at in range(len(words)) for end in end_blocks(words[at])]

    def _measure_distance(self, rare: int, frequent: int) -> int:
        rare_words = self._words[rare]
        frequent_words = self._words[frequent]
        differing = [pair for pair in zip(rare_words, frequent_words, strict=False) if pair[0] != pair[1]]
        if len(rare_words) != len(frequent_words) or len(differing) != 1 or _DIRECTIONS & set(differing[0]):
            return 0
        return count_edits(*differing[0], _SHORTEST)


def words_of(normalised: str) -> tuple[str, ...]:
    """Return the words of a place in one spelling."""
    words = split_words(normalised)
    whole = _SAME_PLACES.get(" ".join(words))
    return tuple(whole.split()) if whole else tuple(_SAME_WORDS.get(word, word) for word in words)
