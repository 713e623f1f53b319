"""Identities in Postgres: one set-based statement resolves a run, however many mentions it has."""

from perdure.services.identity import IdentityCounts
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.epochs import check_epoch

WHOLE_RUN_SECONDS = 3600.0
"""For a statement over a whole run, which takes as long as it takes: cut short, it would only begin again, for ever."""

_RESOLVE = """
WITH surfaces AS (
    SELECT kind, normalised, surface, count(*) AS mentions
    FROM mentions WHERE workflow_id = $1 GROUP BY kind, normalised, surface
), named AS (
    SELECT kind, normalised, sum(mentions) AS mentions,
           (array_agg(surface ORDER BY mentions DESC, surface COLLATE "C"))[1] AS name
    FROM surfaces GROUP BY kind, normalised
), spread AS (
    SELECT kind, normalised, count(DISTINCT position) AS documents
    FROM mentions WHERE workflow_id = $1 GROUP BY kind, normalised
), made AS (
    INSERT INTO identities (workflow_id, identity_id, kind, normalised, name, mention_count, document_count)
    SELECT $1, 'idn_' || left(encode(sha256(convert_to(kind || E'\\n' || normalised, 'UTF8')), 'hex'), 24),
           kind, normalised, name, mentions, documents
    FROM named JOIN spread USING (kind, normalised)
    RETURNING identity_id, kind, normalised
), aliased AS (
    INSERT INTO identity_aliases (workflow_id, identity_id, surface, mention_count)
    SELECT $1, identity_id, surface, mentions FROM made JOIN surfaces USING (kind, normalised)
)
SELECT count(*) FROM made
"""

_COUNTS = """
SELECT coalesce(sum(d.mention_count), 0)::bigint AS mentions,
       coalesce(sum(d.mention_count) FILTER (WHERE d.epoch <= r.epoch), 0)::bigint AS resolved
FROM documents d LEFT JOIN resolutions r USING (workflow_id)
WHERE d.workflow_id = $1 AND d.status = 'processed'
"""


class PostgresIdentityStore:
    """`perdure.services.identity.IdentityStore` over Postgres."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def counts(self, workflow_id: str) -> IdentityCounts:
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(_COUNTS, workflow_id)
        return IdentityCounts(row["mentions"], row["resolved"]) if row else IdentityCounts(0, 0)

    async def resolve(self, workflow_id: str, epoch: int) -> int:
        async with self._pool.transaction() as conn:
            await take_run(conn, workflow_id, epoch)
            if await resolved_in(conn, workflow_id) == epoch:
                return int(await conn.fetchval("SELECT count(*) FROM identities WHERE workflow_id = $1", workflow_id))
            # The graph goes with the identities that it was made of.
            for table in ("graphs", "identities"):
                await conn.execute(
                    f"DELETE FROM {table} WHERE workflow_id = $1",  # noqa: S608 - constants
                    workflow_id,
                    timeout=WHOLE_RUN_SECONDS,
                )
            identities = await conn.fetchval(_RESOLVE, workflow_id, timeout=WHOLE_RUN_SECONDS)
            await conn.execute(
                "INSERT INTO resolutions VALUES ($1, $2) ON CONFLICT (workflow_id) DO UPDATE SET epoch = $2",
                workflow_id,
                epoch,
            )
            return int(identities)


async def resolved_in(conn: Connection, workflow_id: str) -> int | None:
    """The epoch of the run's last resolution: one is made of all its documents, so no epoch needs a second.

    Who was stopped in the middle, and wakes up when another has resolved the run, finds it here and changes nothing.
    """
    epoch: int | None = await conn.fetchval("SELECT epoch FROM resolutions WHERE workflow_id = $1", workflow_id)
    return epoch


async def take_run(conn: Connection, workflow_id: str, epoch: int) -> None:
    """Lock the run for a transaction over all of its rows.

    Raises:
        StaleWriter: a later run has taken over.
        StoreSetBack: the database has never heard of this epoch.
    """
    # Should this process be killed, the server notices within a second, not when the statement ends: until then it
    # would hold the lock, and whoever takes up the work would wait for it.
    await conn.execute("SET LOCAL client_connection_check_interval = '1s'")
    latest = await conn.fetchval("SELECT epoch FROM runs WHERE workflow_id = $1 FOR UPDATE", workflow_id)
    check_epoch(workflow_id, latest, epoch)
