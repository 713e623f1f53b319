"""Fixtures: each kind of checkpoint store over one storage, and database connections."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from perdure.checkpoint import CheckpointStore
from tests.conformance.held_pool import HeldPool
from tests.conformance.opened import KINDS, opened
from tests.s3_server import empty_bucket, s3_server

OpenStore = Callable[[], CheckpointStore]


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    """A server of the S3 protocol."""
    with s3_server() as address:
        yield address


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return (kind, where) of an empty storage, as `opened` and `appender.py` take it."""
    kind: str = request.param
    if kind == "postgres":
        return kind, request.getfixturevalue("database_url")
    if kind == "bucket":
        empty_bucket(request.getfixturevalue("bucket_server"), monkeypatch)
        return kind, "s3://papers/checkpoints/of a team"
    folder = tmp_path / "checkpoints"
    return kind, str(folder) if kind == "files" else folder.as_uri()


@pytest.fixture
async def open_store(storage: tuple[str, str]) -> AsyncIterator[OpenStore]:
    """Return a function that opens the storage again.

    The fixture closes every opened store at the end of the test.
    """
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
    """Return one opened store."""
    return open_store()


@pytest.fixture
async def held_pool(database_url: str) -> AsyncIterator[HeldPool]:
    """Return a pool of the same database whose transactions wait before their COMMIT."""
    pool = HeldPool(database_url, max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Return a connection as the owner of the tables and of the server."""
    conn = await asyncpg.connect(database_url)
    assert await conn.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user")
    yield conn
    await conn.close()
