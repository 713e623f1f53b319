"""Everything that is stored in Postgres. SQL stands in this room and in `migrations/` only.

This room may import every room of `perdure` except other stores. Start reading in `manifest.py` and `sql/manifest.sql`.
"""

from perdure.stores.postgres.checkpoints import PostgresCheckpointStore

__all__ = ["PostgresCheckpointStore"]
