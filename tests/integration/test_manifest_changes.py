"""The activities that use the manifest, with changing inputs, on a real Postgres."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from temporalio.testing import ActivityEnvironment

from activities.manifest import AddRequest, AddResult, DiscoverRequest, DiscoverResult, ManifestActivities
from perdure.documents.document import DiscoveredDocument
from perdure.manifest import Changes, Lease
from perdure.stores.postgres import refresh
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.made_documents import discovered, processed, sha256_of

RUN = "run"


class Shelf:
    """A source in memory: `content` maps names to (version, text).

    The source `file:///papers` lists no name of `outside`. The content of a name of `unreadable` has no hash.
    """

    def __init__(self, pool: PostgresPool) -> None:
        self.content: dict[str, tuple[str, str]] = {}
        self.outside: set[str] = set()
        self.unreadable: set[str] = set()
        self.store = PostgresManifestStore(pool)
        self.activities = ManifestActivities(self.store, self._discover, self._content_hash)

    async def discover(self, run_id: str, *, retry: bool = False, refresh: bool = False) -> DiscoverResult:
        request = DiscoverRequest(
            workflow_id=RUN, first_run_id=run_id, sources=["file:///papers"], retry_quarantined=retry, refresh=refresh
        )
        return await ActivityEnvironment().run(self.activities.discover, request)

    async def add(self, epoch: int, *names: str) -> AddResult:
        request = AddRequest(workflow_id=RUN, epoch=epoch, sources=[discovered(name).uri for name in names])
        return await ActivityEnvironment().run(self.activities.add_documents, request)

    async def process(self, result: DiscoverResult) -> None:
        """Commit a result for every queued document."""
        lease = Lease(result.epoch, 1, 1)
        for entry in await self.store.lease_batch(RUN, lease, 0, result.totals.queued):
            text = self.content[entry.name][1]
            await self.store.commit(RUN, lease, entry.position, processed(text), attempts=1)

    def _discover(self, sources: Sequence[str]) -> Iterator[DiscoveredDocument]:
        everything = "file:///papers" in sources
        for name, (version, _) in self.content.items():
            if (everything and name not in self.outside) or discovered(name).uri in sources:
                yield discovered(name, version)

    def _content_hash(self, uri: str) -> str | None:
        name = uri.rsplit("/", 1)[-1]
        return sha256_of(self.content[name][1]) if name in self.content.keys() - self.unreadable else None


@pytest.fixture
async def shelf(database_url: str) -> AsyncIterator[Shelf]:
    pool = PostgresPool(database_url, max_size=4)
    shelf = Shelf(pool)
    shelf.content = {"a.txt": ("v1", "first text"), "b.txt": ("v1", "second text")}
    yield shelf
    await pool.close()


async def test_only_a_new_version_with_changed_content_is_processed_again(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content = {"a.txt": ("v2", "first text"), "b.txt": ("v2", "second text, revised")}
    again = await shelf.discover("second")
    assert again.names == ["b.txt"]
    assert (again.totals.queued, again.totals.processed, again.totals.pending) == (1, 1, 1)
    await shelf.process(again)
    third = await shelf.discover("third")
    assert (third.totals.queued, third.totals.processed) == (0, 2)


async def test_changed_document_loses_its_former_outputs(shelf: Shelf, database_url: str) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content["a.txt"] = ("v2", "quite another text")
    await shelf.process(await shelf.discover("second"))
    pool = PostgresPool(database_url)
    async with pool.connection() as conn:
        texts = [row["text"] for row in await conn.fetch("SELECT text FROM document_texts ORDER BY position")]
        counts = [await conn.fetchval(f"SELECT count(*) FROM {table}") for table in ("chunks", "mentions")]
    await pool.close()
    assert texts == ["quite another text", "second text"]
    assert counts == [2, 2]


async def test_new_documents_follow_the_known_ones(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content = {"0.txt": ("v1", "new"), **shelf.content}
    again = await shelf.discover("second")
    assert again.names == ["0.txt"]
    assert (again.totals.total, again.totals.queued) == (3, 1)


async def test_finished_document_that_is_gone_keeps_its_result(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    del shelf.content["a.txt"]
    again = await shelf.discover("second")
    assert (again.totals.total, again.totals.processed, again.totals.queued) == (2, 2, 0)


async def test_adding_to_an_open_run_twice_adds_once(shelf: Shelf) -> None:
    begun = await shelf.discover("first")
    shelf.content["c.txt"] = ("v1", "third text")
    first = await shelf.add(begun.epoch, "c.txt")
    assert (first.first_ordinal, first.end_ordinal, first.names) == (2, 3, ["c.txt"])
    assert await shelf.add(begun.epoch, "c.txt") == first
    assert first.totals.queued == 3


async def test_adding_a_document_finished_earlier_queues_nothing(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    later = await shelf.discover("second")
    added = await shelf.add(later.epoch, "a.txt")
    assert (added.first_ordinal, added.end_ordinal, added.totals.queued) == (0, 0, 0)


async def test_ordinal_of_the_queue_is_never_used_twice(shelf: Shelf) -> None:
    """A document that changes after its epoch has processed it waits for the next epoch."""
    begun = await shelf.discover("first")
    await shelf.process(begun)
    shelf.content["b.txt"] = ("v2", "revised while the run is open")
    added = await shelf.add(begun.epoch, "b.txt")
    assert (added.first_ordinal, added.end_ordinal, added.totals.queued) == (1, 2, 2)
    assert (added.totals.total, added.totals.queued_bytes) == (2, begun.totals.queued_bytes)
    assert (await shelf.discover("second")).names == ["b.txt"]


async def test_many_pages_keep_their_order(shelf: Shelf) -> None:
    shelf.content = {f"{number:05}.txt": ("v1", "text") for number in range(2500)}
    discovery = await shelf.discover("first")
    assert discovery.totals.queued == 2500
    names = await shelf.store.names(RUN, discovery.epoch, 0, 2500)
    assert names == list(shelf.content)
    assert discovery.names == names[:100]


async def test_refresh_removes_vanished_documents_with_their_results(shelf: Shelf, database_url: str) -> None:
    await shelf.process(await shelf.discover("first"))
    del shelf.content["a.txt"]
    shelf.content |= {"b.txt": ("v2", "second text, revised"), "c.txt": ("v1", "third text")}
    again = await shelf.discover("second", refresh=True)
    assert again.names == ["b.txt", "c.txt"]
    assert (again.totals.total, again.totals.queued) == (2, 2)
    await shelf.process(again)
    assert await shelf.store.changes(RUN) == Changes(1, 1, 0, 0, 1, 0)
    pool = PostgresPool(database_url)
    async with pool.connection() as conn:
        texts = [row["text"] for row in await conn.fetch("SELECT text FROM document_texts ORDER BY position")]
        status = await conn.fetchval("SELECT status FROM documents WHERE position = 0")
        progress = await conn.fetchrow("SELECT total, processed, pending FROM run_progress")
    await pool.close()
    assert texts == ["second text, revised", "third text"]
    assert status == "removed"
    assert list(progress or ()) == [2, 2, 0]


async def test_document_that_reappears_is_processed_again(shelf: Shelf) -> None:
    kept = dict(shelf.content)
    await shelf.process(await shelf.discover("first"))
    del shelf.content["a.txt"]
    assert (await shelf.discover("second", refresh=True)).totals.total == 1
    shelf.content = kept
    third = await shelf.discover("third", refresh=True)
    assert (third.names, third.totals.total) == (["a.txt"], 2)
    await shelf.process(third)
    assert await shelf.store.changes(RUN) == Changes(1, 0, 0, 0, 0, 1)


async def test_empty_source_removes_nothing(shelf: Shelf) -> None:
    """A network share that is not mounted looks like an empty source."""
    await shelf.process(await shelf.discover("first"))
    shelf.content.clear()
    again = await shelf.discover("second", refresh=True)
    assert (again.totals.total, again.totals.processed, again.totals.queued) == (2, 2, 0)


async def test_documents_of_another_processing_version_are_repeated(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.process(await shelf.discover("first"))
    monkeypatch.setattr(refresh, "PROCESSING_VERSION", "of tomorrow")
    assert (await shelf.discover("resumed")).totals.queued == 0  # a resume repeats no document
    again = await shelf.discover("second", refresh=True)
    assert again.names == ["a.txt", "b.txt"]
    await shelf.process(again)
    assert await shelf.store.changes(RUN) == Changes(0, 0, 2, 0, 0, 0)


async def test_discovery_after_a_crash_gives_the_same_result(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    del shelf.content["a.txt"]
    once = await shelf.discover("second", refresh=True)
    assert await shelf.discover("second", refresh=True) == once
    assert await shelf.store.changes(RUN) == Changes(0, 0, 0, 0, 1, 1)


async def test_first_start_of_a_run_counts_only_new_documents(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first", refresh=True))
    assert await shelf.store.changes(RUN) == Changes(2, 0, 0, 0, 0, 0)
    assert await shelf.store.changes("another") is None
