"""Finds rare spellings that are typing errors of frequent ones."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence

from rapidfuzz.distance import OSA

MAX_COMPARED = 100
"""Most names of a block with which a name is compared: the most mentioned ones, ties by bytes.

The bound keeps the time for each name constant, for a block of any size and any order.
"""
RARER = 2
"""Factor by which a misspelling must be rarer than the correct spelling."""
SHORTEST = 5
_LONG = 10
_DIGIT = re.compile(r"\d")


def count_edits(rare: str, frequent: str, shortest: int = SHORTEST) -> int:
    """Return the number of edits if `rare` can be a misspelling of `frequent`; else 0.

    A swap of neighbours is one edit. One edit is allowed from `shortest` letters on, and two from 10. The first letter
    never differs, and a name with digits is never a misspelling.
    """
    shorter = min(len(rare), len(frequent))
    if shorter < shortest or rare[0] != frequent[0] or _DIGIT.search(rare) or _DIGIT.search(frequent):
        return 0
    allowed = 2 if shorter >= _LONG else 1
    distance = OSA.distance(rare, frequent, score_cutoff=allowed)
    return distance if distance <= allowed else 0


def end_blocks(word: str) -> tuple[str, str]:
    """Return the blocks of a word: its beginning and its end.

    One edit leaves at least one of the two unchanged.
    """
    return f"{word[:3]}<", f">{word[-3:]}"


def find_misspellings(
    numbers: Iterable[int],
    blocks: Callable[[int], Sequence[Hashable]],
    mentions: Callable[[int], int],
    distance: Callable[[int, int], int],
) -> list[tuple[int, int]]:
    """Return pairs of a misspelling and the correct name.

    No correct name is itself a misspelling.

    Args:
        numbers: numbers of the names, the most mentioned first, ties by bytes.
        blocks: returns the blocks of a name; only names that share a block are compared.
        mentions: returns the number of mentions of a name.
        distance: returns the edits from a rare name to a frequent one; 0 if it is not a misspelling.
    """
    hubs: dict[Hashable, list[int]] = {}
    pairs = []
    for number in numbers:
        keys = blocks(number)
        best: tuple[int, int] | None = None
        for hub in dict.fromkeys(hub for key in keys for hub in hubs.get(key, ())):
            if mentions(hub) >= RARER * mentions(number) and (edits := distance(number, hub)):
                better = (edits, hub)
                if best is None or edits < best[0]:
                    best = better
        if best:
            pairs.append((number, best[1]))
            continue
        for key in keys:
            block = hubs.setdefault(key, [])
            if len(block) < MAX_COMPARED:
                block.append(number)
    return pairs
