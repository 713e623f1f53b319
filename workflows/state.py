"""What a run carries through continue-as-new: counters, a watermark and the few ranges beyond it.

Its size does not depend on the number of documents. Ranges are half-open `[first, end)` over the epoch's ordinals.
"""

from datetime import datetime

from pydantic import BaseModel, Field

from activities.batches import BatchResult
from perdure.checkpoint import WorkflowCheckpoint
from perdure.manifest import ManifestTotals

SMALL_RUN_DOCUMENTS = 500
"""Up to this many, each batch is one document, named in the Web UI."""
MAX_BATCH_DOCUMENTS = 100
MAX_BATCH_BYTES = 32 * 1024 * 1024
BATCHES_IN_A_LARGE_RUN = 200

Range = tuple[int, int]


class Ailment(BaseModel):
    """Since when, by the workflow's time, a service has been found unhealthy, and what was wrong with it last."""

    since: datetime
    why: str


class PipelineState(BaseModel):
    """Everything about a run's progress that the workflow itself must remember."""

    epoch: int = 0
    total: int = 0
    processed: int = 0
    quarantined: int = 0
    cancelled: int = 0
    quality_sum: float = 0.0
    queued: int = 0
    """How many ordinals there are in this epoch."""
    queued_bytes: int = 0
    next_ordinal: int = 0
    """The first ordinal not handed out yet."""
    dispatched: int = 0
    """Batches handed out so far, those handed out again included."""
    watermark: int = 0
    """All ordinals below are finished."""
    beyond: list[Range] = Field(default_factory=list)
    """Finished ranges above the watermark, sorted, never touching: at most the window."""
    unsaved: list[Range] = Field(default_factory=list)
    """Finished since the last checkpoint, sorted, never touching."""
    sequence: int = 0
    digest: str = ""
    latest: WorkflowCheckpoint | None = None
    paused: bool = False
    closed: bool = True
    """Takes no more documents."""
    concurrency: int = 4
    recoveries: int = 0
    """How often the run has taken a new epoch because its stores were not where it had left them."""
    recovered: str | None = None
    """What the last recovery brought back, one sentence."""
    recovered_at_sequence: int = -1
    """The latest checkpoint at the last recovery: the next one tells of it."""
    unhealthy: dict[str, Ailment] = Field(default_factory=dict)
    """Services that were not well when they were last asked, while the breaker looks."""
    tripped_at: datetime | None = None
    """When the breaker paused the run; None while it does not."""
    generation: int = 0
    """How often the run has continued as new."""

    @property
    def remaining(self) -> int:
        """Documents that have no result."""
        return max(0, self.total - self.processed - self.quarantined)

    @property
    def quality_score(self) -> float:
        """Mean over the processed documents, 0 if there are none; rounded to 3 places."""
        return round(self.quality_sum / self.processed, 3) if self.processed else 0.0

    def take_totals(self, totals: ManifestTotals) -> None:
        """Start counting from what the manifest says."""
        self.total, self.processed, self.quarantined = totals.total, totals.processed, totals.quarantined
        self.cancelled, self.quality_sum = totals.cancelled, totals.quality_sum
        self.queued, self.queued_bytes = totals.queued, totals.queued_bytes

    def begin_epoch(self, epoch: int, totals: ManifestTotals) -> None:
        """Start on the queue of a new epoch."""
        self.epoch = epoch
        self.next_ordinal = self.watermark = 0
        self.beyond, self.unsaved = [], []
        self.take_totals(totals)

    def grow(self, totals: ManifestTotals) -> None:
        """Documents were added: the queue is longer. Counts of finished ones stay ours, which batches report."""
        self.total, self.queued = max(self.total, totals.total), max(self.queued, totals.queued)
        self.queued_bytes = max(self.queued_bytes, totals.queued_bytes)

    def next_batch(self, batch_size: int) -> Range:
        """Take the next range off the queue; `batch_size` 0 chooses by the run's size in documents and bytes."""
        first = self.next_ordinal
        self.next_ordinal = min(self.queued, first + (batch_size or self._adaptive_batch_size()))
        return first, self.next_ordinal

    def next_dispatch(self) -> int:
        """The fencing number of one more activity that processes a batch."""
        self.dispatched += 1
        return self.dispatched

    def _adaptive_batch_size(self) -> int:
        if self.queued <= SMALL_RUN_DOCUMENTS:
            return 1
        by_count = min(MAX_BATCH_DOCUMENTS, max(1, self.queued // BATCHES_IN_A_LARGE_RUN))
        mean_bytes = max(1, self.queued_bytes // self.queued)
        return max(1, min(by_count, MAX_BATCH_BYTES // mean_bytes))

    def finish(self, batch: Range, result: BatchResult) -> None:
        """Count a batch in and move the watermark."""
        self.processed += result.processed
        self.quarantined += result.quarantined
        self.quality_sum += result.quality_sum
        self.unsaved = merged([*self.unsaved, batch])
        self.beyond = merged([*self.beyond, batch])
        if self.beyond[0][0] <= self.watermark:
            self.watermark = self.beyond.pop(0)[1]

    def is_saved(self, wanted: Range) -> bool:
        """Whether a checkpoint covers every ordinal of the range.

        An empty one stands for what earlier epochs had finished, which the first checkpoint of this one covers.
        """
        if wanted[0] >= wanted[1]:
            return self.latest is not None or not (self.processed or self.quarantined)
        finished = merged([(0, self.watermark), *self.beyond])
        covered = any(first <= wanted[0] and wanted[1] <= end for first, end in finished)
        return covered and not any(first < wanted[1] and wanted[0] < end for first, end in self.unsaved)

    def mark_saved(self, saved: list[Range]) -> None:
        """A checkpoint covers these ranges: what has finished since then stays unsaved."""
        remaining: list[Range] = []
        for first, end in self.unsaved:
            position = first
            for saved_first, saved_end in saved:
                if saved_end <= position or saved_first >= end:
                    continue
                if saved_first > position:
                    remaining.append((position, saved_first))
                position = saved_end
            if position < end:
                remaining.append((position, end))
        self.unsaved = remaining


def merged(ranges: list[Range]) -> list[Range]:
    """Sorted, with those that touch or overlap joined; empty ranges are dropped."""
    result: list[Range] = []
    for first, end in sorted(ranges):
        if first >= end:
            continue
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result
