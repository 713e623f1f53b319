"""The state that a run passes on at continue-as-new: counters and ranges of ordinals.

The size of the state does not depend on the number of documents. Ranges are half-open, `[first, end)`, over the
ordinals of the epoch.
"""

from datetime import datetime

from pydantic import BaseModel, Field

from activities.batches import BatchResult
from perdure.checkpoint import WorkflowCheckpoint
from perdure.manifest import ManifestTotals

SMALL_RUN_DOCUMENTS = 500
"""Largest number of queued documents for which each batch is one document, named in the Web UI."""
MAX_BATCH_DOCUMENTS = 100
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Bound on the expected bytes of a batch: its number of documents times the mean size in the queue."""
BATCHES_IN_A_LARGE_RUN = 200
"""Least number of batches into which a large queue is divided."""

Range = tuple[int, int]
"""The ordinals `[first, end)`."""


class Ailment(BaseModel):
    """The start of a service's unhealthy time, by the workflow's clock, and the last reason."""

    since: datetime
    why: str


class PipelineState(BaseModel):
    """The progress of a run, as far as the workflow itself stores it."""

    epoch: int = 0
    """Fencing token that the manifest gave this run; 0 before discovery."""
    total: int = 0
    processed: int = 0
    quarantined: int = 0
    cancelled: int = 0
    quality_sum: float = 0.0
    queued: int = 0
    """Number of ordinals in this epoch."""
    queued_bytes: int = 0
    next_ordinal: int = 0
    """The first ordinal that was not handed out yet."""
    dispatched: int = 0
    """Number of batch activities scheduled so far, repeated ones included."""
    watermark: int = 0
    """Every ordinal below the watermark is finished."""
    beyond: list[Range] = Field(default_factory=list)
    """Finished ranges above the watermark, sorted, never touching; at most one for each batch of the window."""
    unsaved: list[Range] = Field(default_factory=list)
    """Ranges finished since the last checkpoint, sorted, never touching."""
    sequence: int = 0
    """Sequence of the latest mirrored checkpoint; 0 before the first."""
    digest: str = ""
    """Digest of the latest mirrored checkpoint; empty before the first."""
    latest: WorkflowCheckpoint | None = None
    paused: bool = False
    """Whether a user paused the run."""
    closed: bool = True
    """Whether the run refuses further documents."""
    concurrency: int = 4
    """Width of the window: the most batches in flight."""
    recoveries: int = 0
    """Number of times that the run took a new epoch because its stores had been set back."""
    recovered: str | None = None
    """The loss that the last recovery repaired, one sentence; None before the first recovery."""
    recovered_at_sequence: int = -1
    """Sequence of the latest checkpoint at the last recovery; the next checkpoint records the recovery."""
    unhealthy: dict[str, Ailment] = Field(default_factory=dict)
    """Services that were not healthy in the last capture that the breaker judged."""
    tripped_at: datetime | None = None
    """The time at which the breaker paused the run; None while it does not."""
    generation: int = 0
    """Number of times that the run has continued as new."""

    @property
    def remaining(self) -> int:
        """Return the number of documents that have no result."""
        return max(0, self.total - self.processed - self.quarantined)

    @property
    def quality_score(self) -> float:
        """Return the mean quality of the processed documents, rounded to 3 places; 0 without any."""
        return round(self.quality_sum / self.processed, 3) if self.processed else 0.0

    def take_totals(self, totals: ManifestTotals) -> None:
        """Set every count to the same count of the manifest."""
        self.total = totals.total
        self.processed = totals.processed
        self.quarantined = totals.quarantined
        self.cancelled = totals.cancelled
        self.quality_sum = totals.quality_sum
        self.queued = totals.queued
        self.queued_bytes = totals.queued_bytes

    def begin_epoch(self, epoch: int, totals: ManifestTotals) -> None:
        """Start at the beginning of the queue of a new epoch."""
        self.epoch = epoch
        self.next_ordinal = 0
        self.watermark = 0
        self.beyond = []
        self.unsaved = []
        self.take_totals(totals)

    def grow(self, totals: ManifestTotals) -> None:
        """Extend the queue after documents were added.

        Counts of finished documents stay as they are: batches report those. Answers of two additions may arrive in
        any order, so no count ever shrinks.
        """
        self.total = max(self.total, totals.total)
        self.queued = max(self.queued, totals.queued)
        self.queued_bytes = max(self.queued_bytes, totals.queued_bytes)

    def next_batch(self, batch_size: int) -> Range:
        """Return the next range of the queue, and advance the queue.

        If `batch_size` is 0, the number and size of the documents determine the range.
        """
        first = self.next_ordinal
        self.next_ordinal = min(self.queued, first + (batch_size or self._choose_batch_size()))
        return first, self.next_ordinal

    def next_dispatch(self) -> int:
        """Return the fencing number of the next batch activity, counted from 1."""
        self.dispatched += 1
        return self.dispatched

    def _choose_batch_size(self) -> int:
        if self.queued <= SMALL_RUN_DOCUMENTS:
            return 1
        by_count = min(MAX_BATCH_DOCUMENTS, max(1, self.queued // BATCHES_IN_A_LARGE_RUN))
        mean_bytes = max(1, self.queued_bytes // self.queued)
        return max(1, min(by_count, MAX_BATCH_BYTES // mean_bytes))

    def finish(self, batch: Range, result: BatchResult) -> None:
        """Add a batch's result to the counts and move the watermark."""
        self.processed += result.processed
        self.quarantined += result.quarantined
        self.quality_sum += result.quality_sum
        self.unsaved = merge_ranges([*self.unsaved, batch])
        self.beyond = merge_ranges([*self.beyond, batch])
        if self.beyond[0][0] <= self.watermark:
            self.watermark = self.beyond.pop(0)[1]

    def is_saved(self, wanted: Range) -> bool:
        """Return whether a checkpoint covers every ordinal of the range.

        An empty range stands for documents that earlier epochs finished. The first checkpoint of this epoch covers
        them.
        """
        if wanted[0] >= wanted[1]:
            return self.latest is not None or not (self.processed or self.quarantined)
        finished = merge_ranges([(0, self.watermark), *self.beyond])
        covered = any(first <= wanted[0] and wanted[1] <= end for first, end in finished)
        return covered and not any(first < wanted[1] and wanted[0] < end for first, end in self.unsaved)

    def mark_saved(self, saved: list[Range]) -> None:
        """Remove the ranges that a checkpoint covers from `unsaved`."""
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


def merge_ranges(ranges: list[Range]) -> list[Range]:
    """Return the ranges sorted, joined where they touch or overlap, and without empty ranges."""
    result: list[Range] = []
    for first, end in sorted(ranges):
        if first >= end:
            continue
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result
