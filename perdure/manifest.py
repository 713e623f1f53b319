"""The manifest of a run: the ordered list of its documents, who may work on each, and how each ended.

A run is named by its workflow id. `epoch` is the fencing token of the Temporal run that works on it; `Lease` says
under which dispatch and attempt a document was handed out. `position` counts documents in the manifest from 0, for
good; `ordinal` counts, from 0 in each epoch, what that epoch has to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.errors import DocumentError


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """Under which a document may be committed; the later one, in this order of fields, wins."""

    epoch: int
    dispatch: int
    attempt: int


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One document of a batch, as its worker needs it."""

    position: int
    ordinal: int
    uri: str
    name: str
    source: str
    size_bytes: int
    status: str
    quality_score: float | None
    has_parts: bool = False
    """Whether an earlier attempt has left finished parts of it."""


class ManifestTotals(BaseModel):
    """Counts of documents over a whole manifest; also the form in which activities send these counts.

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
    """What the latest start of a run found, compared with what the run had before, in documents."""

    added: int
    changed: int
    outdated: int
    """Processed by another version of the processing code."""
    retried: int
    """That had been quarantined."""
    removed: int
    """Gone from their source; their results were dropped."""
    unchanged: int
    """Not processed again."""


@dataclass(frozen=True, slots=True)
class Added:
    """What documents that were added to an open run have made of its manifest and queue."""

    total: int
    queued: int
    queued_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One quarantined document, in the form of `starter.py failures --json`."""

    position: int
    uri: str
    reason: str
    error_type: str
    attempts: int


class ManifestStore(Protocol):
    """Storage of manifests and of what processing made of each document.

    Every method raises `DependencyUnavailable` when the storage cannot be reached now, and those that take an
    epoch or a lease raise `StaleWriter` when it has been replaced, `StoreSetBack` when the store has never heard of it.
    """

    async def claim(self, workflow_id: str, first_run_id: str, *, at_least: int, replaces: int | None = None) -> int:
        """The epoch of this Temporal run: a new one, the latest, the first time; the same one ever after.

        A new one is never below `at_least`: a store that was lost must not hand out old epochs again. With `replaces`,
        only the holder of that epoch gets a new one.
        """
        ...

    async def record(self, workflow_id: str, epoch: int, documents: Sequence[DiscoveredDocument]) -> None:
        """Add one page of discovered documents after those recorded, queueing them; known URIs are compared.

        A known document that is finished and whose version differs is marked for `enqueue_unfinished` to look at.
        """
        ...

    async def changed_candidates(
        self, workflow_id: str, epoch: int, after: int, limit: int
    ) -> Sequence[tuple[int, str, str]]:
        """(position, uri, sha256) of processed documents whose version differs since they were read, after `after`.

        Not those that this epoch has processed itself: an ordinal of its queue is never used twice.
        """
        ...

    async def settle_candidate(self, workflow_id: str, epoch: int, position: int, *, changed: bool) -> None:
        """Say of a candidate whether its content changed; a changed one loses its outputs and is pending again."""
        ...

    async def refresh(self, workflow_id: str, epoch: int, sources: Sequence[str], limit: int) -> int:
        """Bring some of the results up to date with what this epoch has found under the sources; 0 when all are.

        A document that was not found has its results dropped and counts no more, unless nothing at all was found under
        its source; one that another version of the processing code has processed is pending again. At most `limit` at
        once: call it again until there is nothing to do.
        """
        ...

    async def changes(self, workflow_id: str) -> Changes | None:
        """What the latest start found; None for a run without documents."""
        ...

    async def enqueue_unfinished(
        self, workflow_id: str, epoch: int, *, quarantined: bool, unfinished: bool = True
    ) -> ManifestTotals:
        """Queue every unfinished document, and with `quarantined` those too, under this epoch; idempotent.

        Without `unfinished`, what was never begun or was cancelled stays as it is.
        """
        ...

    async def enqueue_added(self, workflow_id: str, epoch: int) -> Added:
        """Queue what was added since this epoch was taken up; costs what is added, not what there is; idempotent."""
        ...

    async def lease_batch(self, workflow_id: str, lease: Lease, first: int, end: int) -> Sequence[ManifestEntry]:
        """Lease the unfinished of the ordinals [first, end); returns all of them, finished ones too, in order."""
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
        """Store outputs and mark the row processed, in one transaction.

        With a `read_version` other than discovery's, the row gets a warning that the document was changed meanwhile.

        Raises:
            AlreadyCommitted: it has a result already, from another attempt.
            UnstorableDocument: what was found in it can never be stored; nothing has changed.
        """
        ...

    async def quarantine(
        self, workflow_id: str, lease: Lease, position: int, fault: DocumentError, *, attempts: int
    ) -> None:
        """Mark the row quarantined with its reason.

        Raises:
            AlreadyCommitted: it has a result already.
        """
        ...

    async def keep_parts(self, workflow_id: str, lease: Lease, position: int, parts: bytes) -> None:
        """Store finished parts of a document in hand, after those stored before; its result takes them away.

        Raises:
            AlreadyCommitted: it has a result already.
            StaleWriter: a later attempt has it in hand.
        """
        ...

    async def parts(self, workflow_id: str, position: int) -> bytes:
        """All that is kept of a document's parts, in the order in which they were stored."""
        ...

    async def close_run(
        self, workflow_id: str, epoch: int, status: str, *, expected_finished: int | None = None
    ) -> ManifestTotals:
        """Record the run's final status; what is still pending becomes cancelled if it was cancelled.

        Raises:
            StoreSetBack: each of `expected_finished` documents had a result once, and one has none or is unknown now.
        """
        ...

    async def names(self, workflow_id: str, epoch: int, first: int, end: int) -> Sequence[str]:
        """Names of the documents of the ordinals [first, end), in order."""
        ...

    async def ordinals_of(self, workflow_id: str, epoch: int, uris: Sequence[str]) -> tuple[int, int]:
        """The smallest range [first, end) of this epoch's ordinals that holds these documents; (0, 0) if none."""
        ...

    async def sources(self, workflow_id: str) -> Sequence[str]:
        """The sources that the manifest's documents were found under, in order of first appearance."""
        ...

    async def totals(self, workflow_id: str) -> ManifestTotals | None:
        """Counts as they are now, None for an unknown workflow id."""
        ...

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        """All quarantined documents, by position."""
        ...
