"""The manifest of a run: its documents in order, with the lease and the result of each.

A run is named by its workflow id. `epoch` is the fencing token of the Temporal run that writes. `Lease` names the
dispatch and attempt to which a document was handed out. `position` numbers the documents of a manifest from 0 and never
changes. `ordinal` numbers, from 0 in each epoch, the documents that this epoch has to process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.errors import DocumentError


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """The right to commit a document; a later lease replaces an earlier lease.

    Leases are compared field by field in this order.
    """

    epoch: int
    dispatch: int
    attempt: int


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One document of a batch, with the data that its worker needs."""

    position: int
    ordinal: int
    uri: str
    name: str
    source: str
    size_bytes: int
    status: str
    quality_score: float | None
    has_parts: bool = False
    """Whether an earlier attempt has stored finished parts of the document."""


class ManifestTotals(BaseModel):
    """Counts of documents over a whole manifest; activities send them in this form.

    A count that is not given is 0.
    """

    model_config = ConfigDict(frozen=True)

    total: int = 0
    """Documents in the manifest, without those that were removed from their source."""
    processed: int = 0
    quarantined: int = 0
    cancelled: int = 0
    pending: int = 0
    queued: int = 0
    """Ordinals that the current epoch has handed out so far."""
    queued_bytes: int = 0
    """Size in bytes of the documents of the current epoch."""
    quality_sum: float = 0.0
    """Sum of the quality scores of the processed documents."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Counts of the documents that the latest start of a run found, by what has changed."""

    added: int
    changed: int
    outdated: int
    """Documents that another version of the processing code had processed."""
    retried: int
    """Documents that had been quarantined."""
    removed: int
    """Documents that are gone from their source; their results were deleted."""
    unchanged: int
    """Documents that are not processed again."""


@dataclass(frozen=True, slots=True)
class Added:
    """The counts of a manifest and its queue after documents were added to an open run."""

    total: int
    queued: int
    queued_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One quarantined document, with the fields that `failures --json` prints."""

    position: int
    uri: str
    reason: str
    error_type: str
    attempts: int


class ManifestStore(Protocol):
    """Stores manifests and the outputs of each document.

    Every method raises `DependencyUnavailable` when the storage cannot be reached now. A method with an epoch or a
    lease raises `StaleWriter` when a later epoch or lease has replaced that of the caller. It raises `StoreSetBack`
    when the store does not know the caller's epoch.
    """

    async def claim(self, workflow_id: str, first_run_id: str, *, at_least: int, replaces: int | None = None) -> int:
        """Return the epoch of this Temporal run: a new epoch at its first claim, the same one later.

        Args:
            workflow_id: the run.
            first_run_id: the Temporal run id that names the claim.
            at_least: the lowest epoch to give out. A store that was lost must not give out old epochs again.
            replaces: if given, only the run that holds this epoch gets a new epoch.

        Raises:
            StaleWriter: the run does not hold the epoch `replaces` any more.
        """
        ...

    async def record(self, workflow_id: str, epoch: int, documents: Sequence[DiscoveredDocument]) -> None:
        """Add one page of discovered documents after the documents recorded before.

        A document whose URI the manifest has already is compared with its row. A finished document whose version
        differs becomes a candidate of `changed_candidates`.
        """
        ...

    async def changed_candidates(
        self, workflow_id: str, epoch: int, after: int, limit: int
    ) -> Sequence[tuple[int, str, str]]:
        """Return (position, uri, sha256) of processed documents whose version has changed.

        Documents that this epoch has processed itself are left out: an ordinal of its queue is never used twice.

        Args:
            workflow_id: the run.
            epoch: the writer's epoch.
            after: only positions higher than this one are returned.
            limit: the largest number to return.
        """
        ...

    async def settle_candidate(self, workflow_id: str, epoch: int, position: int, *, changed: bool) -> None:
        """Record whether the content of a candidate changed.

        A changed document loses its outputs and is pending again.
        """
        ...

    async def refresh(self, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
        """Update at most `limit` results to the present sources; return their number.

        A document that this epoch did not find under its source loses its results and is removed from the counts. But
        the documents of a source under which this epoch found no document at all stay. A document that another version
        of the processing code has processed is pending again. The caller repeats the call until it returns 0.
        """
        ...

    async def changes(self, workflow_id: str) -> Changes | None:
        """Return the counts of the latest start of the run; None for a run without documents."""
        ...

    async def enqueue_unfinished(
        self, workflow_id: str, epoch: int, *, quarantined: bool, unfinished: bool = True
    ) -> ManifestTotals:
        """Queue every unfinished document under this epoch; a second call queues nothing more.

        Args:
            workflow_id: the run.
            epoch: the writer's epoch.
            quarantined: whether to queue quarantined documents too.
            unfinished: whether to queue pending and cancelled documents.
        """
        ...

    async def enqueue_added(self, workflow_id: str, epoch: int) -> Added:
        """Queue the documents that were added since this epoch began; a second call adds nothing.

        The cost grows with the number of added documents, and not with the length of the manifest.
        """
        ...

    async def lease_batch(self, workflow_id: str, lease: Lease, first: int, end: int) -> Sequence[ManifestEntry]:
        """Lease the unfinished documents of the ordinals [first, end); return the whole range."""
        ...

    async def commit(
        self,
        workflow_id: str,
        lease: Lease,
        position: int,
        document: ProcessedDocument,
        *,
        attempts: int,
        read_version: str | None = None,
    ) -> None:
        """Store the outputs of a document and mark it processed, in one transaction.

        A `read_version` that differs from the version that discovery saw adds a warning to the document: it was changed
        between discovery and processing.

        Raises:
            AlreadyCommitted: the document has a result already, from another attempt.
            UnstorableDocument: the store can never hold these outputs; nothing has changed.
        """
        ...

    async def quarantine(
        self, workflow_id: str, lease: Lease, position: int, fault: DocumentError, *, attempts: int
    ) -> None:
        """Mark a document quarantined with its reason.

        Raises:
            AlreadyCommitted: the document has a result already.
        """
        ...

    async def keep_parts(self, workflow_id: str, lease: Lease, position: int, parts: bytes) -> None:
        """Store finished parts of a leased document, after its earlier parts.

        `commit` and `quarantine` delete the parts of their document.

        Raises:
            AlreadyCommitted: the document has a result already.
            StaleWriter: a later attempt has leased the document.
        """
        ...

    async def parts(self, workflow_id: str, position: int) -> bytes:
        """Return the finished parts of a document, in the order in which they were stored."""
        ...

    async def close_run(
        self, workflow_id: str, epoch: int, status: str, *, expected_finished: int | None = None
    ) -> ManifestTotals:
        """Record the final status of the run; `cancelled` also cancels its pending documents.

        Args:
            workflow_id: the run.
            epoch: the writer's epoch.
            status: the final status.
            expected_finished: documents that the workflow counts as finished; None skips the check.

        Raises:
            StoreSetBack: the store has fewer finished documents than `expected_finished`.
        """
        ...

    async def names(self, workflow_id: str, epoch: int, first: int, end: int) -> Sequence[str]:
        """Return the names of the documents of the ordinals [first, end), in order."""
        ...

    async def ordinals_of(self, workflow_id: str, epoch: int, uris: Sequence[str]) -> tuple[int, int]:
        """Return the smallest range [first, end) of ordinals with these documents; (0, 0) if none."""
        ...

    async def sources(self, workflow_id: str) -> Sequence[str]:
        """Return the sources of the manifest's documents, in order of first appearance."""
        ...

    async def totals(self, workflow_id: str) -> ManifestTotals | None:
        """Return the current counts; None for an unknown workflow id."""
        ...

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        """Return all quarantined documents, by position."""
        ...
