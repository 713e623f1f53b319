"""Open a checkpoint store by the name of its kind.

Tests use the functions, and so do the processes that tests start.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from perdure.checkpoint import CheckpointStore
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.objects.store import ObjectCheckpointStore
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool

Opened = tuple[CheckpointStore, Callable[[], Awaitable[None]]]


def open_postgres(address: str) -> Opened:
    """Open the store of a database."""
    pool = PostgresPool(address, max_size=4)
    return PostgresCheckpointStore(pool), pool.close


def open_files(folder: str) -> Opened:
    """Open the store of a folder of JSON files."""
    store = PersistentCheckpointStore(Path(folder))
    return store, store.close


def open_objects(url: str) -> Opened:
    """Open the store of a bucket, or of a folder of objects."""
    store = ObjectCheckpointStore(url)
    return store, store.close


KINDS: dict[str, Callable[[str], Opened]] = {
    "postgres": open_postgres,
    "files": open_files,
    "bucket": open_objects,
    "folder": open_objects,
}
"""Kind of store to the function that opens it. The argument is an address, a path or a URL."""


def opened(kind: str, where: str) -> Opened:
    """Return the store, and the function that closes everything it uses."""
    return KINDS[kind](where)
