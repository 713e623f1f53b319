"""The manifest activities with several pages, and with documents that leave and return."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import manifest
from activities.manifest import CloseRequest, ManifestActivities
from perdure.documents.document import DiscoveredDocument
from perdure.stores.postgres.connection import PostgresPool
from tests.integration.made_documents import discovered
from tests.integration.test_manifest_changes import RUN, Shelf

PAGE = 2
COUNT = 5


@pytest.fixture
async def shelf(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    """Return a shelf of more documents than fit on two pages."""
    monkeypatch.setattr(manifest, "PAGE_SIZE", PAGE)
    pool = PostgresPool(database_url, max_size=4)
    shelf = Shelf(pool)
    shelf.content = {f"{number}.txt": ("v1", f"text {number}") for number in range(COUNT)}
    yield shelf
    await pool.close()


async def test_every_vanished_document_is_dropped_however_many_there_are(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content = {"4.txt": shelf.content["4.txt"]}
    again = await shelf.discover("second", refresh=True)
    assert (again.totals.total, again.totals.processed, again.totals.queued) == (1, 1, 0)


async def test_every_changed_document_is_queued_however_many_there_are(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content = {name: ("v2", f"{text}, revised") for name, (_, text) in shelf.content.items()}
    assert (await shelf.discover("second")).totals.queued == COUNT


async def test_changed_document_that_cannot_be_read_now_keeps_its_result(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    shelf.content = {name: ("v2", f"{text}, revised") for name, (_, text) in shelf.content.items()}
    shelf.unreadable.add("1.txt")
    again = await shelf.discover("second")
    assert (again.totals.queued, again.totals.processed) == (COUNT - 1, 1)
    assert "1.txt" not in again.names


async def test_removed_document_that_is_added_again_is_counted(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    returning = shelf.content.pop("0.txt")
    again = await shelf.discover("second", refresh=True)
    assert again.totals.total == COUNT - 1
    shelf.content["0.txt"] = returning
    added = await shelf.add(again.epoch, "0.txt")
    assert (added.totals.total, added.totals.queued) == (COUNT, 1)
    totals = await shelf.store.totals(RUN)
    assert totals
    assert (totals.total, totals.pending) == (COUNT, 1)


async def test_document_that_changed_since_an_earlier_run_can_be_added(shelf: Shelf) -> None:
    await shelf.process(await shelf.discover("first"))
    again = await shelf.discover("second")
    shelf.content["0.txt"] = ("v2", "revised while the run is open")
    added = await shelf.add(again.epoch, "0.txt")
    assert (added.first_ordinal, added.end_ordinal, added.names) == (0, 1, ["0.txt"])


async def test_answer_of_an_addition_names_one_page_at_most(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with every name could exceed the largest message of the server."""
    monkeypatch.setattr(manifest, "NAMES_PAGE_SIZE", 3)
    begun = await shelf.discover("first")
    assert begun.names == ["0.txt", "1.txt", "2.txt"]
    shelf.content |= {f"new-{number}.txt": ("v1", "new") for number in range(4)}
    added = await shelf.add(begun.epoch, *[f"new-{number}.txt" for number in range(4)])
    assert (added.first_ordinal, added.end_ordinal) == (COUNT, COUNT + 4)
    assert added.names == ["new-0.txt", "new-1.txt", "new-2.txt"]


async def test_run_is_not_closed_while_the_store_has_fewer_results(shelf: Shelf) -> None:
    """The workflow counted five results, and the database was set back to two of them."""
    begun = await shelf.discover("first")
    await shelf.process(begun.model_copy(update={"totals": begun.totals.model_copy(update={"queued": 2})}))
    request = CloseRequest(workflow_id=RUN, epoch=begun.epoch, status="completed", through_with=COUNT)
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(shelf.activities.close_run, request)
    assert (refused.value.type, refused.value.non_retryable) == ("StoreSetBack", True)


async def test_source_that_cannot_be_listed_now_is_an_outage(shelf: Shelf) -> None:
    """The server repeats the discovery, and the run shows what it waits for."""

    def discover_documents(_: Sequence[str]) -> Iterator[DiscoveredDocument]:
        yield discovered("0.txt")
        raise OSError(5, "Input/output error")

    shelf.activities = ManifestActivities(shelf.store, discover_documents, lambda _: None)
    with pytest.raises(ApplicationError) as failed:
        await shelf.discover("first")
    assert (failed.value.type, failed.value.non_retryable) == ("DependencyUnavailable", False)
    assert failed.value.message.startswith("the document source is unavailable: ")
