"""Activities around the manifest: find the documents, queue them, name them, and close the book at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translated
from perdure.documents.document import DiscoveredDocument
from perdure.errors import DependencyUnavailable
from perdure.manifest import ManifestStore, ManifestTotals

PAGE_SIZE = 1000
NAMES_PAGE_SIZE = 100


class DiscoverRequest(BaseModel):
    workflow_id: str
    first_run_id: str
    sources: list[str]
    """Empty: take up what the manifest holds, discover nothing."""
    retry_quarantined: bool = False
    """With no sources: those, and nothing that has yet to be begun."""
    refresh: bool = False
    """Drop what is gone from the sources, and do again what other code had processed."""
    at_least_epoch: int = 1
    """Later than every epoch that a checkpoint of this workflow id carries, wherever it is kept."""


class DiscoverResult(BaseModel):
    epoch: int
    totals: ManifestTotals
    names: list[str] = []
    """Of the first page of the queue, for the summaries in the Web UI."""


class AddRequest(BaseModel):
    workflow_id: str
    epoch: int
    sources: list[str]


class AddResult(BaseModel):
    """`[first_ordinal, end_ordinal)` covers the added documents in this epoch; empty if all were known and done."""

    totals: ManifestTotals
    """Only `total`, `queued` and `queued_bytes` are counted: the run itself counts what is finished."""
    first_ordinal: int = 0
    end_ordinal: int = 0
    names: list[str] = []
    """Of the ordinals from `first_ordinal` on, one page at the most."""


class NamesRequest(BaseModel):
    workflow_id: str
    epoch: int
    first: int
    end: int


class CloseRequest(BaseModel):
    workflow_id: str
    epoch: int
    status: str
    through_with: int | None = None
    """That so many documents have a result is what the run knows; None if it is not."""


@dataclass(frozen=True)
class ManifestActivities:
    """`discover` walks sources lazily and in a stable order; `content_hash` gives SHA-256 of a URI, None if gone."""

    manifest: ManifestStore
    discover_documents: Callable[[Sequence[str]], Iterator[DiscoveredDocument]]
    content_hash: Callable[[str], str | None]

    @activity.defn(name="discover")
    async def discover(self, request: DiscoverRequest) -> DiscoverResult:
        """Claim the run's epoch, write the manifest in pages, queue what there is to do; running it again is safe."""
        seen = 0
        async with translated(lambda: {"discovered": seen}):
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
        """Append the documents of more sources to an open run's manifest and queue them."""
        uris: list[str] = []
        async with translated(lambda: {"added": len(uris)}):
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
        """Names of one page of the queue, for the summaries in the Web UI."""
        async with translated():
            return await self.names_of(request.workflow_id, request.epoch, request.first, request.end)

    @activity.defn(name="close_run")
    async def close_run(self, request: CloseRequest) -> ManifestTotals:
        """Record how the run ended; documents never taken up become cancelled when it was cancelled."""
        async with translated():
            return await self.manifest.close_run(
                request.workflow_id, request.epoch, request.status, expected_finished=request.through_with
            )

    async def names_of(self, workflow_id: str, epoch: int, first: int, end: int) -> list[str]:
        """Names of the ordinals from `first` on, one page at the most."""
        return list(await self.manifest.names(workflow_id, epoch, first, min(end, first + NAMES_PAGE_SIZE)))

    async def pages(self, sources: Sequence[str]) -> AsyncIterator[list[DiscoveredDocument]]:
        """What stands under these sources now, a page at a time."""
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
        """Compare the content of finished documents that look touched; only a really changed one is done again."""
        after = -1
        while candidates := await self.manifest.changed_candidates(workflow_id, epoch, after, PAGE_SIZE):
            for position, uri, sha256 in candidates:
                found = await asyncio.to_thread(self.content_hash, uri)
                await self.manifest.settle_candidate(
                    workflow_id, epoch, position, changed=found is not None and found != sha256
                )
                after = position
