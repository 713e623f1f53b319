"""Both checkpoint stores, each opened anew over the same storage as often as a test asks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from perdure.checkpoint import CheckpointStore
from tests.conformance.opened import KINDS, opened

OpenStore = Callable[[], CheckpointStore]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """(kind, where) of an empty storage, as `opened` and `appender.py` take it."""
    kind: str = request.param
    return kind, request.getfixturevalue("database_url") if kind == "postgres" else str(tmp_path / "checkpoints")


@pytest.fixture
async def open_store(storage: tuple[str, str]) -> AsyncIterator[OpenStore]:
    """A function that opens the storage once more; everything opened is closed at the end."""
    closers: list[Callable[[], Awaitable[None]]] = []

    def open_again() -> CheckpointStore:
        store, close = opened(*storage)
        closers.append(close)
        return store

    yield open_again
    for close in closers:
        await close()


@pytest.fixture
def store(open_store: OpenStore) -> CheckpointStore:
    return open_store()
