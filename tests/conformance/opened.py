"""Open a checkpoint store by the name of its kind, in tests and in the processes that they start."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from perdure.checkpoint import CheckpointStore
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool

KINDS = ["postgres", "files"]


def opened(kind: str, where: str) -> tuple[CheckpointStore, Callable[[], Awaitable[None]]]:
    """The store, and how to close everything it uses."""
    if kind == "files":
        files = PersistentCheckpointStore(Path(where))
        return files, files.close
    pool = PostgresPool(where, max_size=4)
    return PostgresCheckpointStore(pool), pool.close
