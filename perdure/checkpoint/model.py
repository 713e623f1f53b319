"""The checkpoint: its fields, and the one form in which every store gives its values back."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python

CHECKPOINT_VERSION = "1"
"""Version of the stored form; `upgrade` brings older forms to it."""

WorkflowStatus = Literal["in_progress", "paused", "completed", "completed_with_failures", "cancelled", "failed"]
TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "completed_with_failures", "cancelled", "failed"})


MAX_JSON_DEPTH = 64
MAX_INTEGER_DIGITS = 4000
_PAST_LARGEST = 10**MAX_INTEGER_DIGITS
"""What Python reads back; Postgres would take more."""
MAX_DOCUMENTS = 2**31 - 1
"""What the integer column holds."""


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time needs its zone")
    return time.astimezone(UTC)


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text holds a NUL character, which Postgres cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a surrogate pair, which is no Unicode") from None
    return str(text)


def _number(number: float) -> float | int:
    if isinstance(number, int):
        if abs(number) >= _PAST_LARGEST:
            raise ValueError(f"an integer has more than {MAX_INTEGER_DIGITS} digits")
        return int(number)
    if not math.isfinite(number):
        raise ValueError("JSON knows neither infinity nor NaN")
    written = float.__repr__(number)
    # Postgres keeps numbers as decimals: 1e+22 comes back as an integer, and -0.0 without its sign.
    return int(Decimal(written)) if "e+" in written else float(written) or 0.0


def _plain_json(value: Any, depth: int = 0) -> Any:
    """The same value made of JSON's own types, in the one form in which every store and the wire give it back.

    Raises:
        ValueError: it has no such form.
    """
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"JSON is nested more than {MAX_JSON_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, dict):
        return {_text(_key(key)): _plain_json(one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_json(one, depth + 1) for one in value]
    return _plain_json(to_jsonable_python(value), depth + 1)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(next(iter(to_jsonable_python({key: None}))))


Text = Annotated[str, AfterValidator(_text)]
UtcTime = Annotated[datetime, AfterValidator(_utc)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_plain_json)]


class ServiceState(BaseModel):
    """How one service answered when it was last asked.

    `metadata` holds what the service reports of itself; for every service also `round_trip_ms`
    (float, milliseconds) and, when it is not healthy, `why` (one sentence).
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["healthy", "degraded", "unhealthy"]
    last_check: UtcTime
    metadata: JsonObject = Field(default_factory=dict)


class WorkflowCheckpoint(BaseModel):
    """Where a run stood at one moment. The wire, Postgres and file forms carry the same fields.

    Values are brought to the one form in which every store gives them back, so that digests agree: times are UTC,
    numbers as Postgres keeps them. What cannot be stored (NUL, NaN, half of a surrogate pair) is a `ValueError`.

    `metadata` always holds `orchestrator_version`, `checkpoint_version`, `sequence` (counts from 1 per workflow id),
    `run_id`, `event_id` (history length when it was taken), `epoch` (fencing token of the run that wrote it),
    `previous_digest` (empty for the first) and `digest`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    checkpoint_id: Text
    workflow_id: Text
    timestamp: UtcTime
    processed_documents: int = Field(ge=0, le=MAX_DOCUMENTS)
    state_data: JsonObject
    service_states: dict[Text, ServiceState]
    metadata: JsonObject

    @property
    def sequence(self) -> int:
        """Position in the chain of this workflow id, from 1."""
        return int(self.metadata["sequence"])

    @property
    def epoch(self) -> int:
        """Fencing token of the run that wrote this checkpoint; grows with each resumption."""
        return int(self.metadata["epoch"])

    @property
    def digest(self) -> str:
        """SHA-256 over this checkpoint and the digest of the one before it, in hexadecimal."""
        return str(self.metadata["digest"])

    @property
    def previous_digest(self) -> str:
        """Digest of the checkpoint before this one; empty for the first."""
        return str(self.metadata["previous_digest"])

    @property
    def workflow_status(self) -> str:
        """One of `WorkflowStatus`."""
        return str(self.state_data["workflow_status"])
