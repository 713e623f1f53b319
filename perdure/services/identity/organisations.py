"""Resolves organisations: joins spellings, misspellings, short forms and acronyms."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache

from perdure.services.identity.clusters import Clusters
from perdure.services.identity.cooccurrence import MAX_CANDIDATES, Cooccurrence
from perdure.services.identity.names import AMBIGUOUS, Joined, Name, join_names, split_words
from perdure.services.identity.spelling import count_edits, end_blocks, find_misspellings

_LINKS = frozenset(
    (
        "and",
        "&",
        "of",
        "the",
        "for",
        "in",
        "on",
        "at",
        "de",
        "des",
        "du",
        "la",
        "le",
        "les",
        "der",
        "die",
        "das",
        "und",
        "fur",
        "et",
        "y",
        "del",
        "di",
        "e",
    )
)
_SAME_WORDS = {
    "intl": "international", "natl": "national", "univ": "university", "dept": "department", "assn": "association",
    "assoc": "association", "bros": "brothers", "mfg": "manufacturing", "govt": "government", "inst": "institute",
    "tech": "technology", "technologies": "technology", "labs": "laboratories", "svcs": "services",
    "mgmt": "management",
    "centre": "center", "organisation": "organization", "ctr": "center", "hosp": "hospital", "eng": "engineering",
    "sys": "systems", "grp": "group", "hldgs": "holdings", "inds": "industries", "fdn": "foundation",
}  # fmt: skip
_GENERIC = frozenset(
    (
        "company",
        "companies",
        "corporation",
        "group",
        "holding",
        "holdings",
        "industries",
        "industry",
        "international",
        "incorporated",
        "limited",
        "systems",
        "technology",
        "solutions",
        "services",
        "enterprises",
        "partners",
        "global",
        "worldwide",
    )
)
"""Words that writers often leave out of a name."""
_ESTABLISHED = 3
"""A word that occurs in this many names, or in more, counts as correct and not as a misspelling."""
_ACRONYM = re.compile(r"[A-Z](?:[.&]?[A-Z]){1,6}\.?")
_LONG_ACRONYM = 4
_SHORTEST_STEM = 3


class Organisations:
    """Resolves the organisations of a run.

    Args:
        names: all names of organisations, in any order.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        """Join misspellings, and request the counts that short forms and acronyms need."""
        groups: dict[str, list[Name]] = defaultdict(list)
        words: dict[str, tuple[str, ...]] = {}
        for name in sorted(names, key=lambda name: name.weight):
            if parts := words_of(name.normalised):
                key = "".join(parts)  # "micro soft" equals "microsoft"
                words.setdefault(key, parts)
                groups[key].append(name)
        ranked = sorted(
            (-sum(name.mentions for name in group), group[0].normalised, key) for key, group in groups.items()
        )
        self._words = [words[key] for _, _, key in ranked]
        self._names = [groups[key] for _, _, key in ranked]
        self._mentions = [-mentions for mentions, _, _ in ranked]
        self._rules = ["same_name"] * len(ranked)
        self._heads: dict[int, int] = {}
        self._clusters = Clusters(len(ranked), self._is_compatible)
        for rare, right in self._find_misspellings():
            self._join(rare, right, "typing_error")
        self._acronyms = self._find_acronyms()
        self.cooccurrence = Cooccurrence()
        for index, candidates in self._acronyms.items():
            self.cooccurrence.request(self._get_number(index), map(self._get_number, candidates))
        self._shorts = self._find_short_forms()
        for index, candidates in self._shorts.items():
            if len(candidates) > 1:
                self.cooccurrence.request(self._get_number(index), map(self._get_number, candidates))

    def joins(self) -> Iterator[Joined]:
        """Yield every name that joins another name's identity, and every ambiguous name."""
        for index, candidates in self._shorts.items():
            self._settle(index, candidates, "short_form", "same_documents", alone=True)
        for index, candidates in self._acronyms.items():
            if self._rules[index] == "same_name":
                self._settle(index, candidates, "acronym", "acronym_in_document", alone=self._is_long(index))
        for members in self._clusters.sets():
            yield from join_names(self._find_head(members), members, self._names, self._rules)

    def _settle(self, index: int, candidates: list[int], rule: str, shared_rule: str, *, alone: bool) -> None:
        """Join a name to its only candidate, or to the candidate that its documents support.

        If `alone` is true, a single candidate needs no document that contains both names.
        """
        roots = dict.fromkeys(map(self._clusters.find, candidates))
        chosen = self.cooccurrence.choose(self._get_number(index), [(root, self._list_numbers(root)) for root in roots])
        if chosen is not None:
            self._join(index, chosen, shared_rule)
        elif len(roots) == 1 and alone:
            self._join(index, next(iter(roots)), rule)
        elif len(roots) > 1:
            self._rules[index] = AMBIGUOUS

    def _join(self, index: int, other: int, rule: str) -> None:
        self._heads[index] = self._heads.get(other, other)
        if self._clusters.join(index, other):
            self._rules[index] = rule

    def _is_compatible(self, index: int, other: int) -> bool:
        """Return whether one name is a shorter form of the other.

        Two full names therefore never join through a third name.
        """
        head = self._heads.get(index, index)
        other_head = self._heads.get(other, other)
        return self._heads.get(head, head) == self._heads.get(other_head, other_head)

    def _find_head(self, members: Sequence[int]) -> int:
        return min(members, key=lambda index: (index in self._heads, index))

    def _find_misspellings(self) -> list[tuple[int, int]]:
        uses: dict[str, int] = defaultdict(int)
        for words in self._words:
            for word in words:
                uses[word] += 1

        def make_blocks(index: int) -> Sequence[Hashable]:
            words = self._words[index]
            return [
                hash((words[:at], end, words[at + 1 :])) for at in range(len(words)) for end in end_blocks(words[at])
            ]

        def measure_distance(rare: int, frequent: int) -> int:
            rare_words = self._words[rare]
            frequent_words = self._words[frequent]
            differing = [pair for pair in zip(rare_words, frequent_words, strict=False) if pair[0] != pair[1]]
            if len(rare_words) != len(frequent_words) or len(differing) != 1:
                return 0
            return count_edits(*differing[0]) if uses[differing[0][0]] < _ESTABLISHED else 0

        return find_misspellings(range(len(self._words)), make_blocks, self._mentions.__getitem__, measure_distance)

    def _find_short_forms(self) -> dict[int, list[int]]:
        """Return each name with the names that add generic words after it."""
        stems = {words: index for index, words in enumerate(self._words) if index not in self._heads}
        longer: dict[int, list[int]] = defaultdict(list)
        for index, words in enumerate(self._words):
            cut = len(words)
            while cut > 1 and words[cut - 1] in _GENERIC:
                cut -= 1
                short = stems.get(words[:cut])
                if short is not None and index not in self._heads and len("".join(words[:cut])) >= _SHORTEST_STEM:
                    longer[short].append(index)
        ordered = sorted(longer, key=lambda index: (-len(self._words[index]), index))
        return {index: longer[index][:MAX_CANDIDATES] for index in ordered}

    def _find_acronyms(self) -> dict[int, list[int]]:
        short_names = {
            "".join(words): index
            for index, words in enumerate(self._words)
            if len(words) == 1 and index not in self._heads and _ACRONYM.fullmatch(self._names[index][0].surface)
        }
        meant: dict[int, list[int]] = defaultdict(list)
        for index, words in enumerate(self._words):
            if len(words) > 1 and index not in self._heads:
                for acronym in acronyms(words):
                    short = short_names.get(acronym)
                    if short is not None and len(meant[short]) <= MAX_CANDIDATES:
                        meant[short].append(index)
        return {index: candidates for index, candidates in sorted(meant.items()) if len(candidates) <= MAX_CANDIDATES}

    def _is_long(self, index: int) -> bool:
        return len("".join(self._words[index])) >= _LONG_ACRONYM

    def _get_number(self, index: int) -> int:
        return self._names[index][0].number

    def _list_numbers(self, root: int) -> list[int]:
        return [self._get_number(member) for member in self._clusters.members(root)]


def words_of(normalised: str) -> tuple[str, ...]:
    """Return the words of an organisation, without legal forms and links, in one spelling."""
    words = [_SAME_WORDS.get(word, word) for word in split_words(normalised)]
    if len(words) > 1 and words[-1] in _list_legal_endings():
        from cleanco import basename  # noqa: PLC0415 - few names need it

        words = basename(" ".join(words)).split() or words
    return tuple(word for word in words if word not in {"and", "&", "the", "+"}) or tuple(words)


@cache
def _list_legal_endings() -> frozenset[str]:
    """Return the last words of the legal forms of all countries."""
    from cleanco import prepare_default_terms  # noqa: PLC0415 - few names need it

    return frozenset("".join(term[1][-1].split(".")) for term in prepare_default_terms() if term[1])


def acronyms(words: Sequence[str]) -> set[str]:
    """Return the acronyms of a name.

    The acronyms are made of all words, of all words without links, and of all words without links and generic last
    words.
    """
    core = [word for word in words if word not in _LINKS]
    cut = len(core)
    while cut > 2 and core[cut - 1] in _GENERIC:  # noqa: PLR2004 - an acronym has two letters
        cut -= 1
    return {"".join(word[0] for word in form) for form in (words, core, core[:cut]) if len(form) > 1}
