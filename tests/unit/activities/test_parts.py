"""`PartsKeeper` stores finished parts in their order, and none after the document's result."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest

from activities import parts
from activities.parts import PartsKeeper
from perdure.errors import DependencyUnavailable, PerdureError, StaleWriter
from perdure.manifest import Lease, ManifestStore

SECONDS = 30.0
OUTAGE = DependencyUnavailable("Postgres", "connection refused")
REPLACED = StaleWriter("A later attempt has taken the document over.")


class Shelf:
    """Records each call of `keep_parts`.

    A call waits while the shelf is held, and fails with the next error of `faults`.
    """

    def __init__(self, *faults: PerdureError | None) -> None:
        self.faults = list(faults)
        self.stored: list[bytes] = []
        self.calls: list[bytes] = []
        self.free = asyncio.Event()
        self.free.set()
        self._called = asyncio.Condition()

    async def keep_parts(self, workflow_id: str, lease: Lease, position: int, parts: bytes) -> None:
        assert (workflow_id, lease, position) == ("run", Lease(1, 2, 3), 4)
        async with self._called:
            self.calls.append(parts)
            self._called.notify_all()
        await self.free.wait()
        if fault := self.faults.pop(0) if self.faults else None:
            raise fault
        self.stored.append(parts)

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(SECONDS), self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FIRST_WRITE_SECONDS", 0.01)
    monkeypatch.setattr(parts, "WRITE_EVERY_SECONDS", 0.01)


def keeper_of(shelf: Shelf) -> PartsKeeper:
    return PartsKeeper(cast(ManifestStore, shelf), "run", Lease(1, 2, 3), 4)


async def test_parts_keep_their_order_when_a_write_is_repeated_after_an_outage() -> None:
    """Pages in another order would be another document."""
    shelf = Shelf(OUTAGE)
    shelf.free.clear()
    keeper = keeper_of(shelf)
    async with keeper.keeping():
        keeper.add(b"page 1 ")
        keeper.add(b"page 2 ")
        await shelf.until_called(1)
        keeper.add(b"page 3 ")  # arrives while the write that will fail is under way
        shelf.free.set()
        await shelf.until_called(2)
    assert b"".join(shelf.stored) == b"page 1 page 2 page 3 "


async def test_parts_that_arrive_during_a_write_are_stored_by_the_next() -> None:
    shelf = Shelf()
    shelf.free.clear()
    keeper = keeper_of(shelf)
    async with keeper.keeping():
        keeper.add(b"page 1 ")
        await shelf.until_called(1)
        keeper.add(b"page 2 ")
        shelf.free.set()
        await shelf.until_called(2)
    assert shelf.stored == [b"page 1 ", b"page 2 "]


async def test_replaced_attempt_stores_no_further_parts() -> None:
    shelf = Shelf(REPLACED)
    shelf.free.clear()
    keeper = keeper_of(shelf)
    async with keeper.keeping():
        writing = next(task for task in asyncio.all_tasks() if "_write_until" in repr(task.get_coro()))
        keeper.add(b"page 1 ")
        await shelf.until_called(1)
        keeper.add(b"page 2 ")
        shelf.free.set()
        async with asyncio.timeout(SECONDS):
            await asyncio.wait({writing})
    assert (shelf.calls, shelf.stored) == ([b"page 1 "], [])


@pytest.mark.parametrize("fails", [False, True])
async def test_no_write_outlives_the_block(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """After the commit, no later step deletes the parts of the document."""
    monkeypatch.setattr(parts, "_LAST_WRITE_SECONDS", 0.01)
    shelf = Shelf()
    shelf.free.clear()
    keeper = keeper_of(shelf)
    with suppress(ZeroDivisionError):
        async with keeper.keeping():
            keeper.add(b"page 1 ")
            await shelf.until_called(1)
            if fails:
                raise ZeroDivisionError
    left = asyncio.all_tasks() - {asyncio.current_task()}
    shelf.free.set()
    assert (left, shelf.stored) == (set(), [])


async def test_write_that_is_under_way_at_the_end_of_the_block_completes() -> None:
    shelf = Shelf()
    shelf.free.clear()
    keeper = keeper_of(shelf)
    async with keeper.keeping():
        keeper.add(b"page 1 ")
        await shelf.until_called(1)
        asyncio.get_running_loop().call_soon(shelf.free.set)
    assert shelf.stored == [b"page 1 "]


async def test_short_document_stores_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FIRST_WRITE_SECONDS", 3600.0)
    monkeypatch.setattr(parts, "WRITE_EVERY_SECONDS", 0.0)
    shelf = Shelf()
    keeper = keeper_of(shelf)
    async with asyncio.timeout(SECONDS), keeper.keeping():
        keeper.add(b"page 1 ")
        for _ in range(100):  # a write that waits for no time begins in one of these steps of the loop
            await asyncio.sleep(0)
    assert shelf.calls == []


async def test_parts_beyond_the_bound_are_computed_again_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_BYTES", 10)
    shelf = Shelf()
    keeper = keeper_of(shelf)
    async with keeper.keeping():
        keeper.add(b"12345")
        keeper.add(b"67890")
        keeper.add(b"!")
        await shelf.until_called(1)
    assert b"".join(shelf.stored) == b"1234567890"
