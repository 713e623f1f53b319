"""Which rare spelling is a typing error of which frequent one."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence

from rapidfuzz.distance import OSA

MAX_COMPARED = 100
"""Names of a block that a name is compared with: the most mentioned, ties by bytes. So a block of any size costs a
bounded time for each of its names, and whatever the order in which they came."""
RARER = 2
"""How many times rarer than the right spelling a wrong one has to be."""
SHORTEST = 5
_LONG = 10
_DIGIT = re.compile(r"\d")


def slip(rare: str, frequent: str, shortest: int = SHORTEST) -> int:
    """The number of edits, a swap of neighbours being one, if `rare` can be a slip of the pen; 0 if it cannot.

    One edit from `shortest` letters on, two from 10; never the first letter, never in what has digits.
    """
    shorter = min(len(rare), len(frequent))
    if shorter < shortest or rare[0] != frequent[0] or _DIGIT.search(rare) or _DIGIT.search(frequent):
        return 0
    allowed = 2 if shorter >= _LONG else 1
    distance = OSA.distance(rare, frequent, score_cutoff=allowed)
    return distance if distance <= allowed else 0


def ends(word: str) -> tuple[str, str]:
    """Blocks of a word: one edit leaves its beginning or its end as they are."""
    return f"{word[:3]}<", f">{word[-3:]}"


def misspellings(
    numbers: Iterable[int],
    blocks: Callable[[int], Sequence[Hashable]],
    mentions: Callable[[int], int],
    distance: Callable[[int, int], int],
) -> list[tuple[int, int]]:
    """Pairs of a misspelling and what it misspells, which is itself no misspelling: so no chain ever forms.

    Args:
        numbers: the most mentioned first, ties by bytes.
        blocks: only names that share a block are compared.
        mentions: of a name.
        distance: from a rare name to a frequent one, 0 if it is no misspelling of it.
    """
    hubs: dict[Hashable, list[int]] = {}
    found = []
    for one in numbers:
        keys = blocks(one)
        best: tuple[int, int] | None = None
        for hub in dict.fromkeys(hub for key in keys for hub in hubs.get(key, ())):
            if mentions(hub) >= RARER * mentions(one) and (edits := distance(one, hub)):
                better = (edits, hub)
                if best is None or edits < best[0]:
                    best = better
        if best:
            found.append((one, best[1]))
            continue
        for key in keys:
            block = hubs.setdefault(key, [])
            if len(block) < MAX_COMPARED:
                block.append(one)
    return found
