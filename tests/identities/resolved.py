"""A generated run resolved without a database, documents counted as the database would count them."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from perdure.services.identity.resolution import Resolution
from tests.identities.generated import MadeMention

Names = dict[tuple[str, str], tuple[int, str, str, float]]
"""Kind and normalised form to number, canonical form, rule and score."""


def resolved(mentions: Iterable[MadeMention]) -> Names:
    """Every name of a run, with the name of its identity."""
    surfaces: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    positions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for one in mentions:
        surfaces[one.kind, one.normalised][one.surface] += 1
        positions[one.kind, one.normalised].add(one.position)
    names = sorted(surfaces)
    rows: dict[str, list[tuple[int, str, str, int]]] = defaultdict(list)
    for number, (kind, normalised) in enumerate(names):
        spelt = surfaces[kind, normalised]
        rows[kind].append((number, normalised, min(spelt, key=lambda one: (-spelt[one], one)), spelt.total()))
    found: Names = {name: (number, name[1], "same_name", 1.0) for number, name in enumerate(names)}
    for kind in sorted(rows):
        resolution = Resolution(kind, rows[kind])
        resolution.add_counts(
            [
                (short, other, len(positions[names[short]] & positions[names[other]]))
                for short, other in resolution.pairs()
            ]
        )
        for number, canonical, rule, score in resolution.joins():
            found[names[number]] = (number, names[canonical][1], rule, score)
    return found
