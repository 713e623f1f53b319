"""`StateData`: the fields of a checkpoint that hold the position of its run.

A new field of the run is added here. docs/how-to/add-a-checkpoint-field.md shows every step. Two rules keep the digests
of stored checkpoints valid:

* A field that was not given is not written. So a checkpoint of an older release is written as that release wrote it.
* A field that this release does not know is kept and written again.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from perdure.checkpoint.values import plain_json

WorkflowStatus = Literal["in_progress", "paused", "completed", "completed_with_failures", "cancelled", "failed"]
"""The states of a run that a checkpoint records."""
TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "completed_with_failures", "cancelled", "failed"})
"""The statuses in which a run has ended."""


class WrittenAsRead(BaseModel):
    """A model that writes exactly the fields that it was given, unknown ones included."""

    # Strict: a lax reader would turn "5" into 5, and the digest would no longer be that of the stored bytes.
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @model_serializer(mode="wrap")
    def _write_given_fields(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name in self.model_fields_set}


class UnhealthyService(WrittenAsRead):
    """A service that was unhealthy while the breaker paused the run."""

    since: str
    """ISO 8601: the moment of the first capture that found the service unhealthy."""
    why: str = ""
    """The reason that the service gave, one clause; empty if it gave none."""


class TrippedBreaker(WrittenAsRead):
    """The breaker while it pauses the run."""

    tripped_at: str = ""
    """ISO 8601: the moment at which the run was paused."""
    services: dict[str, UnhealthyService] = Field(default_factory=dict)
    """The unhealthy services by name."""


class StateData(WrittenAsRead):
    """The position of a run at the time of the checkpoint.

    No field grows with the number of documents.
    """

    workflow_status: str
    """The status of the run, one of `WorkflowStatus`."""
    documents_total: int = 0
    """Documents in the manifest."""
    documents_remaining: int = 0
    """Documents without a result."""
    documents_quarantined: int = 0
    """Number of quarantined documents."""
    documents_cancelled: int = 0
    """Documents that a cancellation left unprocessed."""
    current_quality_score: int | float = 0.0
    """Mean quality of the processed documents, 0 to 1, rounded to three places."""
    watermark: int = 0
    """Every ordinal of this epoch below the watermark is finished."""
    beyond_watermark: list[list[int]] = Field(default_factory=list)
    """Finished ordinals above the watermark: ranges `[first, end]`, `end` not included."""
    finished_since_last: list[list[int]] = Field(default_factory=list)
    """Ordinals that finished since the checkpoint before this one: ranges `[first, end]`, `end` not included."""
    sources: list[str] = Field(default_factory=list)
    """The sources of the run, which a resumption needs again."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The options of the run as `PipelineOptions` writes them, which a resumption needs again."""
    recovered: str | None = None
    """The loss that the last recovery repaired, one sentence."""
    breaker: TrippedBreaker | None = None
    """The breaker, if it paused the run."""

    @model_validator(mode="before")
    @classmethod
    def _bring_to_plain_json(cls, given: Any) -> Any:
        return plain_json(given) if isinstance(given, dict) else given
