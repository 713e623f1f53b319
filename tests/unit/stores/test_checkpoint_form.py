"""A checkpoint has one JSON form, in which the wire and every store return it."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import to_json

from perdure.checkpoint import ServiceState, WorkflowCheckpoint, compute_digest
from perdure.checkpoint.values import MAX_INTEGER_DIGITS, MAX_JSON_DEPTH, plain_json
from tests.conformance.chains import make_checkpoint
from tests.conformance.test_store_model import json_values

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def kept_value(value: Any) -> Any:
    """Return what a checkpoint keeps of a value in a field that this release does not know."""
    return make_checkpoint("w", value=value).model_dump(mode="json")["state_data"]["value"]


def as_postgres_writes(number: float) -> float:
    """Return a number as jsonb returns it: without exponent, and without negative zero."""
    if isinstance(number, int):
        return number
    written = float.__repr__(number)
    if "e+" in written:
        mantissa, _, exponent = written.partition("e+")
        whole, _, fraction = mantissa.partition(".")
        return int(whole + fraction.ljust(int(exponent), "0"))
    return float(written) or 0.0


@given(json_values)
def test_the_wire_keeps_value_and_digest(value: Any) -> None:
    checkpoint = make_checkpoint("w", value=value)
    again = WorkflowCheckpoint.model_validate_json(to_json(checkpoint))
    assert again == checkpoint
    assert compute_digest(again) == checkpoint.digest


@given(json_values)
def test_validating_a_value_twice_changes_nothing(value: Any) -> None:
    once = kept_value(value)
    assert json.dumps(once) == json.dumps(kept_value(once))


@given(numbers)
@example(-0.0)
@example(1e16)
@example(1.5e300)
def test_numbers_are_written_as_postgres_keeps_them(number: float) -> None:
    kept = kept_value(number)
    assert math.isclose(kept, number, rel_tol=1e-15)
    assert repr(kept) == repr(as_postgres_writes(number))


def test_equal_moments_are_written_alike() -> None:
    moment = datetime(2026, 3, 1, 0, 30, 0, 1, tzinfo=UTC)
    for other in (moment.astimezone(timezone(timedelta(hours=5, minutes=45))), "2026-03-01T00:30:00.000001Z", moment):
        state = ServiceState.model_validate({"status": "healthy", "last_check": other})
        assert state.model_dump(mode="json")["last_check"] == "2026-03-01T00:30:00.000001Z"


def test_python_values_become_json_values() -> None:
    kept = kept_value({1: (1, 2), "when": datetime(2026, 1, 1, tzinfo=UTC)})
    assert kept == {"1": [1, 2], "when": "2026-01-01T00:00:00Z"}


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a\0b", "NUL"),
        ({"a\0b": 1}, "NUL"),
        ("\ud800", "surrogate"),
        (float("nan"), "NaN"),
        (float("-inf"), "infinity"),
        (10**4000, "digits"),
        (nested(100), "nested"),
        (object(), "serialize"),
    ],
    ids=["nul", "nul-key", "surrogate", "nan", "infinity", "huge", "deep", "object"],
)
def test_a_value_that_no_store_can_keep_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make_checkpoint("w", value=value)
    with pytest.raises(ValidationError, match=sentence):
        ServiceState(status="healthy", last_check=datetime.now(UTC), metadata={"value": value})


def test_value_at_the_bounds_is_kept() -> None:
    largest = 10**MAX_INTEGER_DIGITS - 1
    deepest = nested(MAX_JSON_DEPTH - 1)
    assert plain_json({"deepest": deepest, "largest": largest}) == {"deepest": deepest, "largest": largest}
    with pytest.raises(ValueError, match="nested"):
        plain_json({"deeper": [deepest]})


def test_ids_times_and_counts_are_validated() -> None:
    whole = make_checkpoint("w").model_dump()
    for field, value, sentence in [
        ("workflow_id", "a\0b", "NUL"),
        ("timestamp", "2026-01-01T00:00:00", "zone"),
        ("processed_documents", 2**31, "2147483647"),
        ("processed_documents", -1, "greater"),
    ]:
        with pytest.raises(ValidationError, match=sentence):
            WorkflowCheckpoint.model_validate({**whole, field: value})
