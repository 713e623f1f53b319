"""Processes a batch: commits or quarantines each of its documents, exactly once."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translate_errors
from activities.parts import PartsKeeper
from perdure.documents.document import ProcessedDocument
from perdure.errors import DocumentError
from perdure.manifest import Lease, ManifestEntry, ManifestStore
from perdure.sandbox.job import Outcome
from perdure.sandbox.parts import Send


class BatchRequest(BaseModel):
    """The ordinals `[first, end)` of an epoch, and the dispatch that fences the batch."""

    workflow_id: str
    epoch: int
    dispatch: int
    first: int
    end: int


class BatchResult(BaseModel):
    """Counts over the batch's documents, including those that an earlier attempt finished."""

    processed: int = 0
    quarantined: int = 0
    quality_sum: float = 0.0


class DocumentProcessor(Protocol):
    """Processes a document in a child process."""

    async def process(
        self, uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome[ProcessedDocument]:
        """Process one document.

        Args:
            uri: address of the document.
            name: name of the document for messages.
            source: the source under which discovery listed the document.
            earlier: parts that an earlier attempt finished; the child continues after them.
            on_progress: called with a progress text and the parts that were finished since the last call.

        Raises:
            DocumentError: the document cannot be processed and must be quarantined.
            DependencyUnavailable: the disk, the source or the pool cannot be used now; the attempt is repeated.
        """
        ...


@dataclass
class _BatchProgress:
    """The position of this attempt in its batch, for the heartbeat."""

    finished: int = 0
    document: str = ""
    progress: str = ""
    """Position in a long document, such as `page 12 of 400`; empty for a short one."""

    def begin(self, document: str) -> None:
        """Start the next document of the batch."""
        self.document = document
        self.progress = ""

    def details(self) -> dict[str, object]:
        """Return the details of the heartbeat."""
        details: dict[str, object] = {"finished": self.finished, "document": self.document}
        return {**details, "progress": self.progress} if self.progress else details


@dataclass(frozen=True)
class BatchActivities:
    """The activity that processes a batch, with its injected store and document processor."""

    manifest: ManifestStore
    processor: DocumentProcessor

    @activity.defn(name="process_batch")
    async def process_batch(self, request: BatchRequest) -> BatchResult:
        """Process the unfinished documents of a batch, and return the counts over all its documents.

        A retry skips the documents that an earlier attempt committed.
        """
        lease = Lease(request.epoch, request.dispatch, activity.info().attempt)
        result = BatchResult()
        progress = _BatchProgress()
        async with translate_errors(progress.details):
            entries = await self.manifest.lease_batch(request.workflow_id, lease, request.first, request.end)
            for entry in entries:
                progress.begin(entry.name)
                status = entry.status
                quality = entry.quality_score
                if status == "pending":
                    status, quality = await self._finish(request.workflow_id, lease, entry, progress)
                result.processed += status == "processed"
                result.quarantined += status == "quarantined"
                result.quality_sum += quality or 0.0
                progress.finished += 1
        return result

    async def _finish(
        self, workflow_id: str, lease: Lease, entry: ManifestEntry, progress: _BatchProgress
    ) -> tuple[str, float | None]:
        """Process a document, commit or quarantine it, and return its status and quality score."""
        try:
            outcome = await self._process(workflow_id, lease, entry, progress)
            await self.manifest.commit(
                workflow_id,
                lease,
                entry.position,
                outcome.document,
                attempts=outcome.attempts,
                read_version=outcome.version,
            )
        except DocumentError as fault:
            attempts = int(getattr(fault, "attempts", 1))
            await self.manifest.quarantine(workflow_id, lease, entry.position, fault, attempts=attempts)
            return "quarantined", None
        return "processed", outcome.document.quality_score

    async def _process(
        self, workflow_id: str, lease: Lease, entry: ManifestEntry, progress: _BatchProgress
    ) -> Outcome[ProcessedDocument]:
        """Process a document after the parts of an earlier attempt, and store new finished parts."""
        earlier = await self.manifest.parts(workflow_id, entry.position) if entry.has_parts else b""
        keeper = PartsKeeper(self.manifest, workflow_id, lease, entry.position)

        def record(position: str, parts: bytes) -> None:
            progress.progress = position
            keeper.add(parts)

        async with keeper.keeping():
            return await self.processor.process(
                entry.uri, entry.name, entry.source, earlier=earlier, on_progress=record
            )
