"""`WorkflowCheckpoint`: the checkpoint as messages and all stores hold it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from perdure.checkpoint.state_data import StateData
from perdure.checkpoint.values import JsonObject, Text, UtcTime

CHECKPOINT_VERSION = "1"
"""Version of the stored form; `upgrade` brings older forms to it."""
MAX_DOCUMENTS = 2**31 - 1
"""The largest number that the integer column of Postgres holds."""


class ServiceState(BaseModel):
    """The health of one service when it was last checked.

    `metadata` holds the fields that the service reports. Every service also has `round_trip_ms` (float,
    milliseconds), and `why` (one sentence) while it is not healthy.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["healthy", "degraded", "unhealthy"]
    last_check: UtcTime
    metadata: JsonObject = Field(default_factory=dict)


class WorkflowCheckpoint(BaseModel):
    """The state of a run at one moment. The wire and every store carry the same fields.

    Values are validated into the form in which every store returns them, so that digests agree: times in UTC,
    numbers as Postgres keeps them. A value that no store can keep (NUL, NaN, half of a surrogate pair) is a
    `ValueError`.

    `metadata` always holds `orchestrator_version`, `checkpoint_version`, `sequence` (counts from 1 in each workflow
    id), `run_id`, `event_id` (length of the history when the checkpoint was taken), `epoch` (fencing token of the run
    that wrote it), `previous_digest` (empty in the first) and `digest`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    checkpoint_id: Text
    workflow_id: Text
    timestamp: UtcTime
    processed_documents: int = Field(ge=0, le=MAX_DOCUMENTS)
    state_data: StateData
    service_states: dict[Text, ServiceState]
    metadata: JsonObject

    @property
    def sequence(self) -> int:
        """Return the position in the chain of this workflow id, from 1."""
        return int(self.metadata["sequence"])

    @property
    def epoch(self) -> int:
        """Return the epoch of the run that wrote this checkpoint.

        Each resumption gets a higher epoch.
        """
        return int(self.metadata["epoch"])

    @property
    def digest(self) -> str:
        """Return the SHA-256 of this checkpoint, `previous_digest` included, in hexadecimal."""
        return str(self.metadata["digest"])

    @property
    def previous_digest(self) -> str:
        """Return the digest of the checkpoint before this one; empty in the first."""
        return str(self.metadata["previous_digest"])

    @property
    def workflow_status(self) -> str:
        """Return the status of the run, one of `WorkflowStatus`."""
        return self.state_data.workflow_status
