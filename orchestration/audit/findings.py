"""What an audit has to say: differences, each a sentence, and notes on what is as it should be but worth knowing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be; `subject` names the checkpoint, document or store."""

    kind: str
    subject: str
    sentence: str


@dataclass
class Verification:
    """The answer of `verify`."""

    workflow_id: str
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences about what is no difference."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many of each thing were checked."""

    @property
    def ok(self) -> bool:
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """The form of `starter.py verify --json`."""
        return {
            "ok": self.ok,
            "checked": {**self.counts, "notes": self.notes},
            "differences": [
                {"kind": one.kind, "subject": one.subject, "sentence": one.sentence} for one in self.differences
            ],
        }


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "1 chunk" or "3 chunks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
