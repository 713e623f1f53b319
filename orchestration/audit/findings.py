"""The result of an audit: differences, and notes on facts that are no difference."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `subject` names the checkpoint, document or store."""

    kind: str
    subject: str
    sentence: str


@dataclass
class Verification:
    """The result of `verify`."""

    workflow_id: str
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences about facts that are no difference."""
    counts: dict[str, int] = field(default_factory=dict)
    """Number of checked items, by kind."""

    @property
    def ok(self) -> bool:
        """Return whether there is no difference."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form of `verify --json`."""
        return {
            "ok": self.ok,
            "checked": {**self.counts, "notes": self.notes},
            "differences": [
                {"kind": difference.kind, "subject": difference.subject, "sentence": difference.sentence}
                for difference in self.differences
            ],
        }


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as inclusive ranges."""
    joined: list[tuple[int, int]] = []
    for number in numbers:
        if joined and number == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], number)
        else:
            joined.append((number, number))
    return joined


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, such as "1 chunk" or "3 chunks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
