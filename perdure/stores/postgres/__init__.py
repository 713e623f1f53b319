"""Everything that is stored in Postgres, and the only place beside `migrations` where SQL stands."""

from perdure.stores.postgres.checkpoints import PostgresCheckpointStore

__all__ = ["PostgresCheckpointStore"]
