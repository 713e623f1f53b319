"""Activities of the manifest: list, queue and name documents, and record the run's end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translate_errors
from perdure.documents.document import DiscoveredDocument
from perdure.errors import DependencyUnavailable
from perdure.manifest import ManifestStore, ManifestTotals

PAGE_SIZE = 1000
"""Most documents in one page of the manifest."""
NAMES_PAGE_SIZE = 100
"""Most names in one answer to the workflow."""


class DiscoverRequest(BaseModel):
    """The input of `discover`."""

    workflow_id: str
    first_run_id: str
    """Temporal's id of the first execution of the chain; it names the claim of the epoch."""
    sources: list[str]
    """Sources to list; empty queues the documents that the manifest already holds."""
    retry_quarantined: bool = False
    """Whether quarantined documents are queued. Without sources, no other documents are queued then."""
    refresh: bool = False
    """Whether vanished documents are dropped, and outdated documents are processed again."""
    at_least_epoch: int = 1
    """Lower bound of the new epoch: later than the epoch of every stored checkpoint of this workflow id."""


class DiscoverResult(BaseModel):
    """The run's epoch and the counts of its manifest."""

    epoch: int
    totals: ManifestTotals
    names: list[str] = []
    """Names of the first page of the queue, for the summaries in the Web UI."""


class AddRequest(BaseModel):
    """The input of `add_documents`."""

    workflow_id: str
    epoch: int
    sources: list[str]


class AddResult(BaseModel):
    """The range `[first_ordinal, end_ordinal)` of the added documents in this epoch.

    The range is empty if every document already had a result.
    """

    totals: ManifestTotals
    """Only `total`, `queued` and `queued_bytes` are set: the run itself counts finished documents."""
    first_ordinal: int = 0
    end_ordinal: int = 0
    names: list[str] = []
    """Names of the ordinals from `first_ordinal` on, at most one page."""


class NamesRequest(BaseModel):
    """The input of `name_documents`: the ordinals `[first, end)` of an epoch."""

    workflow_id: str
    epoch: int
    first: int
    end: int


class CloseRequest(BaseModel):
    """The input of `close_run`."""

    workflow_id: str
    epoch: int
    status: str
    through_with: int | None = None
    """Documents that the run counts as finished. Fewer in the store raise `StoreSetBack`. None skips the check."""


@dataclass(frozen=True)
class ManifestActivities:
    """The manifest activities with their injected store and document access.

    Attributes:
        manifest: store of the manifest.
        discover_documents: lists the documents of sources, lazily and in a stable order.
        content_hash: returns the SHA-256 of a URI's content in hexadecimal; None if the document is gone.
    """

    manifest: ManifestStore
    discover_documents: Callable[[Sequence[str]], Iterator[DiscoveredDocument]]
    content_hash: Callable[[str], str | None]

    @activity.defn(name="discover")
    async def discover(self, request: DiscoverRequest) -> DiscoverResult:
        """Claim the run's epoch, write the manifest in pages, and queue the unfinished documents.

        A repeated call gives the same result.
        """
        seen = 0
        async with translate_errors(lambda: {"discovered": seen}):
            epoch = await self.manifest.claim(
                request.workflow_id, request.first_run_id, at_least=request.at_least_epoch
            )
            async for page in self.pages(request.sources):
                await self.manifest.record(request.workflow_id, epoch, page)
                seen += len(page)
            only_quarantined = request.retry_quarantined and not request.sources
            if not only_quarantined:
                await self.settle_changed(request.workflow_id, epoch)
            while request.refresh and await self.manifest.refresh(
                request.workflow_id, epoch, request.sources, PAGE_SIZE
            ):
                pass
            totals = await self.manifest.enqueue_unfinished(
                request.workflow_id, epoch, quarantined=request.retry_quarantined, unfinished=not only_quarantined
            )
            names = await self.names_of(request.workflow_id, epoch, 0, totals.queued)
            return DiscoverResult(epoch=epoch, totals=totals, names=names)

    @activity.defn(name="add_documents")
    async def add_documents(self, request: AddRequest) -> AddResult:
        """Append the documents of further sources to an open run's manifest and queue them."""
        uris: list[str] = []
        async with translate_errors(lambda: {"added": len(uris)}):
            async for page in self.pages(request.sources):
                await self.manifest.record(request.workflow_id, request.epoch, page)
                uris.extend(document.uri for document in page)
            await self.settle_changed(request.workflow_id, request.epoch)
            added = await self.manifest.enqueue_added(request.workflow_id, request.epoch)
            first, end = await self.manifest.ordinals_of(request.workflow_id, request.epoch, uris)
            names = await self.names_of(request.workflow_id, request.epoch, first, end)
            totals = ManifestTotals(total=added.total, queued=added.queued, queued_bytes=added.queued_bytes)
            return AddResult(totals=totals, first_ordinal=first, end_ordinal=end, names=names)

    @activity.defn(name="name_documents")
    async def name_documents(self, request: NamesRequest) -> list[str]:
        """Return the names of one page of the queue, for the summaries in the Web UI."""
        async with translate_errors():
            return await self.names_of(request.workflow_id, request.epoch, request.first, request.end)

    @activity.defn(name="close_run")
    async def close_run(self, request: CloseRequest) -> ManifestTotals:
        """Record the run's final status; a cancelled run's unfinished documents become cancelled."""
        async with translate_errors():
            return await self.manifest.close_run(
                request.workflow_id, request.epoch, request.status, expected_finished=request.through_with
            )

    async def names_of(self, workflow_id: str, epoch: int, first: int, end: int) -> list[str]:
        """Return the names of the ordinals from `first` on, at most one page."""
        return list(await self.manifest.names(workflow_id, epoch, first, min(end, first + NAMES_PAGE_SIZE)))

    async def pages(self, sources: Sequence[str]) -> AsyncIterator[list[DiscoveredDocument]]:
        """Yield the documents that the sources hold at present, in pages."""
        documents = self.discover_documents(sources)
        while True:
            try:
                page = await asyncio.to_thread(lambda: list(islice(documents, PAGE_SIZE)))
            except OSError as error:
                raise DependencyUnavailable("the document source", str(error)) from error
            if not page:
                return
            yield page

    async def settle_changed(self, workflow_id: str, epoch: int) -> None:
        """Queue the finished documents whose version and content have changed."""
        after = -1
        while candidates := await self.manifest.changed_candidates(workflow_id, epoch, after, PAGE_SIZE):
            for position, uri, sha256 in candidates:
                present = await asyncio.to_thread(self.content_hash, uri)
                await self.manifest.settle_candidate(
                    workflow_id, epoch, position, changed=present is not None and present != sha256
                )
                after = position
