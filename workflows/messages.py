"""What goes into and comes out of `DocumentPipeline`: its input and result, updates and query answers."""

from datetime import datetime

from pydantic import BaseModel, Field

from workflows.state import PipelineState

WORKFLOW_TYPE = "DocumentPipeline"
MAX_CONCURRENCY = 1000
MAX_BATCH_SIZE = 1000
BREAKER_SECONDS, HISTORY_EVENTS = 60.0, 1000
"""What a run is started with unless it is asked for something else."""


class PipelineOptions(BaseModel):
    """How a run works."""

    concurrency: int = Field(default=4, ge=1, le=MAX_CONCURRENCY)
    """Batches in flight at once."""
    batch_size: int = Field(default=0, ge=0, le=MAX_BATCH_SIZE)
    """Documents a batch; 0 chooses by the size of the run."""
    open: bool = False
    """Takes further documents until it is closed."""
    breaker_seconds: float = Field(default=0.0, ge=0)
    """For how long a service may be unhealthy before the run pauses itself; 0: for ever."""
    history_events: int = Field(default=0, ge=0)
    """Continues as new after so many, so that a worker that takes the run over has not much to replay; 0: whenever the
    server suggests it. A wide window gets more."""
    heartbeat_timeout_seconds: float = Field(default=30.0, gt=0)
    search_attributes: bool = True
    """Whether the server knows ours; an upsert of unknown ones would block the run."""


class ResumePoint(BaseModel):
    """The end of the chain of checkpoints that a new run goes on from."""

    checkpoint_id: str
    sequence: int
    digest: str
    epoch: int


class ForkOrigin(BaseModel):
    """The checkpoint of another run that a fork began from."""

    workflow_id: str
    checkpoint_id: str
    digest: str


class PipelineInput(BaseModel):
    sources: list[str]
    """Absolute `file://` URIs."""
    options: PipelineOptions = Field(default_factory=PipelineOptions)
    retry_quarantined: bool = False
    """Take up quarantined documents again; with no discovery when `rediscover` is off."""
    rediscover: bool = True
    refresh: bool = False
    """Bring an earlier run's results up to date: drop what is gone from the sources, do again what is outdated."""
    resume: ResumePoint | None = None
    forked_from: ForkOrigin | None = None
    recovered: str | None = None
    """What had been lost before this run began, and is made again by it: one sentence."""
    release: str = "0.1.0"
    """Of the program that began this execution; its checkpoints say so also when a later release replays it."""
    state: PipelineState | None = None
    """Set by continue-as-new only."""


class DocumentCounts(BaseModel):
    total: int
    processed: int
    quarantined: int
    remaining: int


class CheckpointMark(BaseModel):
    checkpoint_id: str
    sequence: int
    timestamp: datetime
    processed_documents: int


class Progress(BaseModel):
    """The answer of the query `progress`, and what a run returns at its end."""

    workflow_status: str
    documents: DocumentCounts
    quality_score: float
    latest_checkpoint: CheckpointMark | None
    waiting_for: str | None = None
    """Why the run cannot go on now, one sentence; None while it can."""
    recovered: str | None = None
    """What was lost and brought back last, one sentence; None if nothing ever was."""
    open: bool = False
    concurrency: int = 0


class AddDocuments(BaseModel):
    """Input of the update `add_documents`."""

    sources: list[str]
    wait: bool = False
    """Answer only once they are done and a checkpoint covers them."""


class AddedDocuments(BaseModel):
    """`[first_ordinal, end_ordinal)` is empty when every one was known and done already."""

    first_ordinal: int
    end_ordinal: int
    saved: bool
    """A checkpoint covers them."""
    progress: Progress
