"""Comparison of a command's JSON value with the value that a release recorded."""

import math
from typing import Any

_TOLERANCE = 1e-6
"""Tolerance for numbers, because another version of a library may add in another order."""


def assert_repeats(answer: Any, recorded: Any, place: str = "answer") -> None:
    """Assert that the answer holds all recorded values.

    A later release may add fields to an object.

    Raises:
        AssertionError: a recorded value is missing or differs; the message names the place of the value.
    """
    if isinstance(recorded, dict):
        assert isinstance(answer, dict), place
        for name, value in recorded.items():
            assert name in answer, f"{place}.{name} is missing"
            assert_repeats(answer[name], value, f"{place}.{name}")
    elif isinstance(recorded, list):
        assert isinstance(answer, list), place
        assert len(answer) == len(recorded), f"{place} has {len(answer)} entries, and {len(recorded)} were recorded"
        for index, (part, value) in enumerate(zip(answer, recorded, strict=True)):
            assert_repeats(part, value, f"{place}[{index}]")
    elif isinstance(recorded, float):
        assert math.isclose(answer, recorded, rel_tol=_TOLERANCE), f"{place} is {answer}, and {recorded} was recorded"
    else:
        assert answer == recorded, f"{place} is {answer!r}, and {recorded!r} was recorded"
