"""What happened to each mutant, as a table and as JSON."""

import dataclasses
import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.mutants.patches import Mutant

REQUIRED_PERCENT = 95


class Outcome(enum.StrEnum):
    """What the tests of a mutant showed."""

    KILLED = "killed"
    """A test failed, as it must."""
    SURVIVED = "survived"
    """All tests passed: no test holds the guard."""
    EXPLAINED = "explained"
    """All tests passed, and the patch has a line `Survives:` with the reason."""
    BROKEN = "broken"
    """The patch does not apply, or pytest ended with an error of its own or took too long."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of one mutant."""

    mutant: Mutant
    outcome: Outcome
    seconds: float
    output: str
    """The last lines that pytest or git wrote."""


def count_outcomes(results: Sequence[Result]) -> dict[Outcome, int]:
    """Return the number of mutants by outcome; every outcome has an entry."""
    counts = Counter(result.outcome for result in results)
    return {outcome: counts[outcome] for outcome in Outcome}


def compute_score(results: Sequence[Result]) -> float:
    """Return the percentage of mutants that were killed."""
    return 100.0 * count_outcomes(results)[Outcome.KILLED] / len(results) if results else 0.0


def is_success(results: Sequence[Result], *, complete: bool) -> bool:
    """Return whether no mutant survived without a reason, and, if all mutants ran, enough were killed."""
    counts = count_outcomes(results)
    enough = not complete or compute_score(results) >= REQUIRED_PERCENT
    return enough and not counts[Outcome.SURVIVED] and not counts[Outcome.BROKEN]


def format_table(results: Sequence[Result]) -> str:
    """Format the results: a row a mutant, the totals, and the output of each broken mutant."""
    ordered = sorted(results, key=lambda result: result.mutant.label)
    rows = [("area", "mutant", "outcome", "seconds")]
    rows += [(r.mutant.area, r.mutant.name, r.outcome.value, f"{r.seconds:.1f}") for r in ordered]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {m:<{widths[1]}}  {o:<{widths[2]}}  {s:>7}" for a, m, o, s in rows]
    for result in ordered:
        if result.outcome is Outcome.EXPLAINED:
            lines.append(f"\n{result.mutant.label} survives: {result.mutant.survives}")
        if result.outcome is Outcome.SURVIVED:
            lines.append(f"\n{result.mutant.label} survived. Promise: {result.mutant.promise}")
        if result.outcome is Outcome.BROKEN:
            lines.append(f"\n{result.mutant.label} is broken:\n{result.output}")
    counts = ", ".join(f"{number} {outcome.value}" for outcome, number in count_outcomes(results).items())
    lines.append(f"\n{len(results)} mutants: {counts}; score {compute_score(results):.1f} %")
    return "\n".join(lines)


def describe_results(results: Sequence[Result]) -> dict[str, Any]:
    """Return the results as a JSON object: the score, the number of mutants by outcome, and each mutant."""
    return {
        "score": round(compute_score(results), 1),
        "total": len(results),
        **{outcome.value: number for outcome, number in count_outcomes(results).items()},
        "mutants": [
            {
                "area": result.mutant.area,
                "name": result.mutant.name,
                "outcome": result.outcome.value,
                "seconds": round(result.seconds, 1),
                "promise": result.mutant.promise,
                "tests": list(result.mutant.tests),
                "survives": result.mutant.survives,
                "output": result.output,
            }
            for result in sorted(results, key=lambda result: result.mutant.label)
        ],
    }
