"""What a report shows of a run; everything is bounded, however many documents the run has."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from perdure.checkpoint import TERMINAL_STATUSES

QUALITY_BUCKETS = 20
"""Of equal width over 0 to 1; the last one holds 1 as well."""

ONE_MOMENT = timedelta(seconds=5)
"""What happens within it is told as one."""

InterruptionKind = Literal["crash", "retry", "stop", "worker", "resumption", "recovery"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over the documents of a run and what was made of them."""

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
    """Documents whose result came from a later attempt than the first."""
    checkpoints: int = 0
    identities: int = 0
    edges: int = 0
    quality: float = 0.0
    """Mean over the processed documents, 0 to 1; 0 if there are none."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many documents had been finished at a moment, since the beginning of the run."""

    time: datetime
    processed: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class CheckpointMark:
    """One checkpoint on the time line."""

    time: datetime
    sequence: int
    documents: int
    """Finished by then: processed and quarantined."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """Something that would have ended a lesser run, and `note`, one sentence about it."""

    time: datetime
    kind: InterruptionKind
    note: str


@dataclass(frozen=True, slots=True)
class Format:
    """The documents of one media type; `quality` is the mean over its processed ones, None if there are none."""

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
    """Quarantined documents with the same kind of fault: `count` of them, the first few by name."""

    error_type: str
    count: int
    documents: Sequence[FailedDocument]


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity, by how many documents mention it."""

    name: str
    documents: int
    mentions: int


@dataclass(frozen=True, slots=True)
class IdentityKind:
    """How many identities of a kind there are, and the first of them by documents."""

    kind: str
    count: int
    top: Sequence[Identity]


@dataclass(frozen=True, slots=True)
class Node:
    """An identity in the picture of the graph; `weight` is the sum over all its edges, also those not drawn."""

    identity_id: str
    name: str
    kind: str
    weight: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Two identities, by id, and in how many documents they are mentioned together."""

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
    """How a service was from `start` to `end`, as the checkpoints found it; `why` if it was not healthy."""

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
    """When the run ended; of one that goes on, when it was looked at."""
    counts: Counts = field(default_factory=Counts)
    progress: Sequence[Progress] = ()
    checkpoints: Sequence[CheckpointMark] = ()
    """Not all of a long run's."""
    interruptions: Sequence[Interruption] = ()
    quality: Sequence[int] = ()
    """Processed documents in each of `QUALITY_BUCKETS`."""
    formats: Sequence[Format] = ()
    failures: Sequence[FailureGroup] = ()
    identities: Sequence[IdentityKind] = ()
    graph: GraphPicture = field(default_factory=GraphPicture)
    services: Sequence[ServiceHistory] = ()
    forked_from: str | None = None
    history_known: bool = True
    """Temporal told of crashes; without it all that is known is which documents were tried again."""

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_STATUSES

    def with_history(self, found: Sequence[Interruption], since: datetime | None) -> "RunReportData":
        """The same with what Temporal remembers since then, in place of what the database lets one guess of it.

        Without `since` Temporal remembers nothing, and the guesses stay.
        """
        if since is None:
            return self
        own = [one for one in self.interruptions if one.kind != "retry" or one.time < since]
        again = [one.time for one in own if one.kind == "resumption"]
        told = [
            one
            for one in found
            if self.began <= one.time <= self.as_of
            and not (one.kind == "worker" and any(abs(one.time - time) <= ONE_MOMENT for time in again))
        ]
        merged = sorted([*own, *told], key=lambda one: (one.time, one.kind))
        return replace(self, interruptions=merged, history_known=True)
