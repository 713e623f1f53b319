"""Process one batch: every document of a range of the queue ends committed or quarantined, exactly once."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translated
from activities.parts import PartsKeeper
from perdure.documents.document import ProcessedDocument
from perdure.errors import DocumentError
from perdure.manifest import Lease, ManifestEntry, ManifestStore
from perdure.sandbox.parts import Send


class BatchRequest(BaseModel):
    """The ordinals `[first, end)` of an epoch; `dispatch` numbers the workflow's dispatches, for fencing."""

    workflow_id: str
    epoch: int
    dispatch: int
    first: int
    end: int


class BatchResult(BaseModel):
    """How the batch's documents ended, those that an earlier attempt had finished included."""

    processed: int = 0
    quarantined: int = 0
    quality_sum: float = 0.0


class Outcome(Protocol):
    """What comes back from the isolated process."""

    @property
    def document(self) -> ProcessedDocument: ...

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        ...

    @property
    def version(self) -> str:
        """What was seen of the document when it was opened."""
        ...


class DocumentProcessor(Protocol):
    """Turns a file into a `ProcessedDocument` away from this process."""

    async def process(
        self, uri: str, name: str, source: str, *, earlier: bytes = b"", on_progress: Send | None = None
    ) -> Outcome:
        """Go on from earlier parts, and hand out those finished since.

        Raise `DocumentError` for the document's fault, `DependencyUnavailable` for the world's.
        """
        ...


@dataclass
class _Now:
    """What the heartbeat says: where in the batch this attempt stands."""

    finished: int = 0
    document: str = ""
    progress: str = ""
    """How far a long document is: `page 12 of 400`."""

    def begin(self, document: str) -> None:
        self.document, self.progress = document, ""

    def tell(self, progress: str) -> None:
        self.progress = progress

    def details(self) -> dict[str, object]:
        said = {"finished": self.finished, "document": self.document}
        return {**said, "progress": self.progress} if self.progress else said


@dataclass(frozen=True)
class BatchActivities:
    manifest: ManifestStore
    processor: DocumentProcessor

    @activity.defn(name="process_batch")
    async def process_batch(self, request: BatchRequest) -> BatchResult:
        """Process what is unfinished; a retried batch skips what an earlier attempt committed."""
        lease = Lease(request.epoch, request.dispatch, activity.info().attempt)
        result, now = BatchResult(), _Now()
        async with translated(now.details):
            entries = await self.manifest.lease_batch(request.workflow_id, lease, request.first, request.end)
            for entry in entries:
                now.begin(entry.name)
                status, quality = entry.status, entry.quality_score
                if status == "pending":
                    status, quality = await self._finish(request.workflow_id, lease, entry, now)
                result.processed += status == "processed"
                result.quarantined += status == "quarantined"
                result.quality_sum += quality or 0.0
                now.finished += 1
        return result

    async def _finish(
        self, workflow_id: str, lease: Lease, entry: ManifestEntry, now: _Now
    ) -> tuple[str, float | None]:
        """Status and quality score that the document ended with."""
        try:
            outcome = await self._processed(workflow_id, lease, entry, now)
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

    async def _processed(self, workflow_id: str, lease: Lease, entry: ManifestEntry, now: _Now) -> Outcome:
        """The document, gone on with where an earlier attempt stood; what this one finishes is kept for a later."""
        earlier = await self.manifest.parts(workflow_id, entry.position) if entry.has_parts else b""
        keeper = PartsKeeper(self.manifest, workflow_id, lease, entry.position)

        def tell(said: str, parts: bytes) -> None:
            now.tell(said)
            keeper.add(parts)

        async with keeper.keeping():
            return await self.processor.process(entry.uri, entry.name, entry.source, earlier=earlier, on_progress=tell)
