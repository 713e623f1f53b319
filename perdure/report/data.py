"""The data of a report; every sequence is bounded, for a run of any size."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from perdure.checkpoint import TERMINAL_STATUSES

QUALITY_BUCKETS = 20
"""Number of buckets of equal width over 0 to 1; the last bucket includes 1."""

ONE_MOMENT = timedelta(seconds=5)
"""Events of one kind within this time are shown as one event."""

InterruptionKind = Literal["crash", "retry", "stop", "worker", "resumption", "recovery"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over a run's documents and their results."""

    total: int = 0
    processed: int = 0
    quarantined: int = 0
    pending: int = 0
    cancelled: int = 0
    bytes: int = 0
    characters: int = 0
    chunks: int = 0
    mentions: int = 0
    retried: int = 0
    """Documents whose result came from a second or later attempt."""
    checkpoints: int = 0
    identities: int = 0
    edges: int = 0
    quality: float = 0.0
    """Mean quality of the processed documents, 0 to 1; 0 without any."""


@dataclass(frozen=True, slots=True)
class FinishedAt:
    """Number of documents that were finished at a moment."""

    time: datetime
    processed: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class CheckpointAt:
    """A checkpoint on the time line."""

    time: datetime
    sequence: int
    documents: int
    """Documents finished at that moment: processed and quarantined."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """An interruption of the run; `note` is one sentence about it."""

    time: datetime
    kind: InterruptionKind
    note: str


@dataclass(frozen=True, slots=True)
class Format:
    """The documents of a media type.

    `quality` is the mean quality of the processed documents; None if none is processed.
    """

    media_type: str
    documents: int
    quarantined: int
    bytes: int
    quality: float | None


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """One quarantined document."""

    name: str
    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Quarantined documents with one type of error: their number, and the first few by name."""

    error_type: str
    count: int
    documents: Sequence[FailedDocument]


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity, with its numbers of documents and mentions."""

    name: str
    documents: int
    mentions: int


@dataclass(frozen=True, slots=True)
class IdentityKind:
    """The number of identities of a kind, and those in the most documents."""

    kind: str
    count: int
    top: Sequence[Identity]


@dataclass(frozen=True, slots=True)
class Node:
    """An identity in the drawn graph; `weight` is the sum over all its edges, drawn or not."""

    identity_id: str
    name: str
    kind: str
    weight: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Two identities, by id, and the number of documents that mention both."""

    source: str
    target: str
    weight: int


@dataclass(frozen=True, slots=True)
class GraphPicture:
    """The heaviest part of the graph."""

    nodes: Sequence[Node] = ()
    edges: Sequence[Edge] = ()


@dataclass(frozen=True, slots=True)
class ServiceSpan:
    """The status of a service from `start` to `end`, as checkpoints recorded it.

    `why` is the reason if the service was not healthy.
    """

    start: datetime
    end: datetime
    status: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """The spans of one service, in order."""

    name: str
    spans: Sequence[ServiceSpan]


@dataclass(frozen=True, slots=True)
class RunReportData:
    """One run, as a report shows it."""

    workflow_id: str
    status: str
    """One of `perdure.checkpoint.WorkflowStatus`."""
    began: datetime
    as_of: datetime
    """The end of the run; for a run in progress, the time of the report."""
    counts: Counts = field(default_factory=Counts)
    progress: Sequence[FinishedAt] = ()
    checkpoints: Sequence[CheckpointAt] = ()
    """The checkpoints; for a long run, a bounded selection of them."""
    interruptions: Sequence[Interruption] = ()
    quality: Sequence[int] = ()
    """Number of processed documents in each of `QUALITY_BUCKETS`."""
    formats: Sequence[Format] = ()
    failures: Sequence[FailureGroup] = ()
    identities: Sequence[IdentityKind] = ()
    graph: GraphPicture = field(default_factory=GraphPicture)
    services: Sequence[ServiceHistory] = ()
    forked_from: str | None = None
    history_known: bool = True
    """Whether Temporal's history was read. Without it the report knows of repeated attempts, but not of crashes."""

    @property
    def ended(self) -> bool:
        """Return whether the run has its final status."""
        return self.status in TERMINAL_STATUSES

    def with_history(self, recorded: Sequence[Interruption], since: datetime | None) -> "RunReportData":
        """Return the data with interruptions from Temporal's history instead of the database.

        Args:
            recorded: interruptions read from Temporal's histories.
            since: start of the oldest history that Temporal keeps; None if Temporal keeps none. Retries that the
                database shows before this time stay.
        """
        if since is None:
            return self
        kept = [event for event in self.interruptions if event.kind != "retry" or event.time < since]
        resumptions = [event.time for event in kept if event.kind == "resumption"]
        added = [
            event
            for event in recorded
            if self.began <= event.time <= self.as_of
            and not (event.kind == "worker" and any(abs(event.time - time) <= ONE_MOMENT for time in resumptions))
        ]
        merged = sorted([*kept, *added], key=lambda event: (event.time, event.kind))
        return replace(self, interruptions=merged, history_known=True)
