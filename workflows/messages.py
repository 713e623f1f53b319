"""The messages of `DocumentPipeline`: input, result, updates and query answers."""

from datetime import datetime

from pydantic import BaseModel, Field

from workflows.state import PipelineState

WORKFLOW_TYPE = "DocumentPipeline"
MAX_CONCURRENCY = 1000
MAX_BATCH_SIZE = 1000
BREAKER_SECONDS = 60.0
"""Seconds that the commands pass as `breaker_seconds` by default."""
HISTORY_EVENTS = 1000
"""Number of events that the commands pass as `history_events` by default."""


class PipelineOptions(BaseModel):
    """The options of a run."""

    concurrency: int = Field(default=4, ge=1, le=MAX_CONCURRENCY)
    """Width of the window: the most batches in flight."""
    batch_size: int = Field(default=0, ge=0, le=MAX_BATCH_SIZE)
    """Documents in a batch; 0 derives the number from the size of the run."""
    open: bool = False
    """Whether the run accepts further documents until it is closed."""
    breaker_seconds: float = Field(default=0.0, ge=0)
    """Seconds for which a service may be unhealthy before the run pauses itself; 0 never pauses."""
    history_events: int = Field(default=0, ge=0)
    """Number of history events after which the run continues as new; 0 leaves the decision to the server.

    A short history lets a worker that takes the run over replay it quickly. A wide window gets more events.
    """
    heartbeat_timeout_seconds: float = Field(default=30.0, gt=0)
    """Seconds without a heartbeat after which the server retries a long activity."""
    search_attributes: bool = True
    """Whether the server has Perdure's search attributes; an upsert of an unknown attribute would block the run."""


class ResumePoint(BaseModel):
    """The latest checkpoint of the chain that a new run continues."""

    checkpoint_id: str
    sequence: int
    digest: str
    epoch: int


class ForkOrigin(BaseModel):
    """The checkpoint of another run from which a fork started."""

    workflow_id: str
    checkpoint_id: str
    digest: str


class PipelineInput(BaseModel):
    """The input of one workflow execution."""

    sources: list[str]
    """Absolute `file://` URIs."""
    options: PipelineOptions = Field(default_factory=PipelineOptions)
    retry_quarantined: bool = False
    """Whether quarantined documents are processed again. If `rediscover` is off, no others are processed then."""
    rediscover: bool = True
    """Whether the sources are listed again."""
    refresh: bool = False
    """Whether an earlier run's results are brought up to date.

    Documents that left the sources are dropped. Documents that another processing version read are processed again.
    """
    resume: ResumePoint | None = None
    """The checkpoint that the run continues; None for a run that starts a chain."""
    forked_from: ForkOrigin | None = None
    """The checkpoint from which the run was forked; None for a run that is no fork."""
    recovered: str | None = None
    """The results that were lost before this run began and that it processes again: one sentence."""
    release: str = "0.1.0"
    """Release of the program that started this execution; checkpoints record it, also when a later release replays."""
    state: PipelineState | None = None
    """The state that the previous execution handed over; set by continue-as-new only."""


class DocumentCounts(BaseModel):
    """Numbers of documents by outcome."""

    total: int
    processed: int
    quarantined: int
    remaining: int


class CheckpointMark(BaseModel):
    """The identifying fields of a checkpoint."""

    checkpoint_id: str
    sequence: int
    timestamp: datetime
    processed_documents: int


class Progress(BaseModel):
    """The answer to the query `progress`, and the result of a run."""

    workflow_status: str
    documents: DocumentCounts
    quality_score: float
    latest_checkpoint: CheckpointMark | None
    waiting_for: str | None = None
    """The reason for which the run waits, one sentence; None while it works."""
    recovered: str | None = None
    """The loss that the last recovery repaired, one sentence; None before the first recovery."""
    open: bool = False
    """Whether the run accepts further documents."""
    concurrency: int = 0
    """Width of the window: the most batches in flight."""


class AddDocuments(BaseModel):
    """The input of the update `add_documents`."""

    sources: list[str]
    wait: bool = False
    """Whether the update answers only after a checkpoint covers the added documents."""


class AddedDocuments(BaseModel):
    """The answer to the update `add_documents`.

    The range `[first_ordinal, end_ordinal)` is empty when every document already had a result.
    """

    first_ordinal: int
    end_ordinal: int
    saved: bool
    """Whether a checkpoint covers the range."""
    progress: Progress
