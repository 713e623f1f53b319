"""Resolution of a generated run without a database; documents are counted as the SQL of the product counts."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from perdure.services.identity.resolution import Resolution
from tests.identities.generated import MadeMention

Names = dict[tuple[str, str], tuple[int, str, str, float]]
"""Kind and normalised form to number, canonical form, rule and score."""


def resolve(mentions: Iterable[MadeMention]) -> Names:
    """Resolve all mentions of a run, and return the identity of each name."""
    surfaces: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    positions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for mention in mentions:
        surfaces[mention.kind, mention.normalised][mention.surface] += 1
        positions[mention.kind, mention.normalised].add(mention.position)
    names = sorted(surfaces)
    rows: dict[str, list[tuple[int, str, str, int]]] = defaultdict(list)
    for number, (kind, normalised) in enumerate(names):
        counts = surfaces[kind, normalised]
        most_frequent = min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
        rows[kind].append((number, normalised, most_frequent, counts.total()))
    resolved: Names = {name: (number, name[1], "same_name", 1.0) for number, name in enumerate(names)}
    for kind in sorted(rows):
        resolution = Resolution(kind, rows[kind])
        resolution.add_counts(
            [
                (short, other, len(positions[names[short]] & positions[names[other]]))
                for short, other in resolution.pairs()
            ]
        )
        for number, canonical, rule, score in resolution.joins():
            resolved[names[number]] = (number, names[canonical][1], rule, score)
    return resolved
