"""What an audit reads of a run: one snapshot of the whole database, so that nothing in it can be a race.

Every check of documents and outputs is one statement of `audit_sql`; it names the first few offenders and counts them
all, so that a run of a million documents is audited in the memory of a small one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from perdure.manifest import ManifestTotals
from perdure.stores.postgres.audit_sql import COVERAGE_CHECKS, DOCUMENT_CHECKS, SERVICE_CHECKS
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS
from perdure.stores.postgres.manifest_sql import TOTALS

NAMED_AT_MOST = 20
"""Offenders of one kind that are named; the others are counted."""
_ROWS_AT_ONCE = 200

_CHECKPOINTS = """
SELECT checkpoint_id, workflow_id, "timestamp", processed_documents, state_data, service_states, metadata,
       sequence, epoch, digest, previous_digest
FROM workflow_checkpoints WHERE workflow_id = $1 ORDER BY sequence
"""
_GUARDS = """
SELECT tgname FROM pg_trigger
WHERE tgrelid = 'workflow_checkpoints'::regclass AND NOT tgisinternal AND tgenabled = 'D' ORDER BY tgname
"""


@dataclass(frozen=True, slots=True)
class RunRow:
    """The row of a run, and the claim (see `ManifestStore.claim`) that its epoch was given to."""

    epoch: int
    status: str
    claim: str | None


@dataclass(frozen=True, slots=True)
class Offence:
    """One thing that a check found; which of the fields are set depends on `kind`."""

    kind: str
    position: int | None
    subject: str
    expected: str | None
    found: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a checkpoint says is finished: ordinals below `watermark` and in `beyond`, of its epoch."""

    epoch: int
    watermark: int
    beyond: Sequence[tuple[int, int]]


class Snapshot:
    """The database at one moment; see `snapshot`."""

    def __init__(self, conn: Connection, workflow_id: str) -> None:
        self._conn = conn
        self._workflow_id = workflow_id

    async def run(self) -> RunRow | None:
        row = await self._conn.fetchrow(
            """SELECT epoch, status, (SELECT first_run_id FROM run_epochs e
                                      WHERE e.workflow_id = r.workflow_id AND e.epoch = r.epoch) AS claim
               FROM runs r WHERE workflow_id = $1""",
            self._workflow_id,
        )
        return RunRow(**dict(row)) if row else None

    async def checkpoints(self) -> AsyncIterator[dict[str, Any]]:
        """Every row of the chain by its sequence, with the columns that the database derives."""
        async for row in self._conn.cursor(_CHECKPOINTS, self._workflow_id, prefetch=_ROWS_AT_ONCE):
            yield dict(row)

    async def retired_up_to(self) -> int:
        """The highest sequence that retention is on record for having deleted, 0 if none."""
        if await self._conn.fetchval("SELECT to_regclass('public.retired_checkpoints')") is None:
            return 0
        return int(
            await self._conn.fetchval(
                "SELECT coalesce(max(up_to_sequence), 0) FROM retired_checkpoints WHERE workflow_id = $1",
                self._workflow_id,
            )
        )

    async def disabled_guards(self) -> list[str]:
        """Triggers on the table of checkpoints that somebody has switched off."""
        return [row["tgname"] for row in await self._conn.fetch(_GUARDS)]

    async def totals(self) -> ManifestTotals | None:
        """Counts over the manifest, None if it has no document."""
        row: Any = await self._conn.fetchrow(TOTALS, self._workflow_id, timeout=WHOLE_RUN_SECONDS)
        return ManifestTotals(**dict(row)) if row else None

    async def rows(self) -> dict[str, int]:
        """How many rows of each kind of output there are."""
        return {
            table: int(
                await self._conn.fetchval(
                    f"SELECT count(*) FROM {table} WHERE workflow_id = $1",  # noqa: S608  constants only
                    self._workflow_id,
                    timeout=WHOLE_RUN_SECONDS,
                )
            )
            for table in ("document_texts", "chunks", "mentions", "identities", "graph_edges")
        }

    async def check_documents(self) -> list[Offence]:
        """Documents without their outputs, outputs without their document, and what contradicts itself."""
        return await self._check(DOCUMENT_CHECKS, self._workflow_id)

    async def check_services(self, max_identities: int) -> list[Offence]:
        """Identities, graph, table and vectors compared with what the documents of the run give."""
        return await self._check(SERVICE_CHECKS, self._workflow_id, max_identities)

    async def check_coverage(self, coverage: Coverage) -> list[Offence]:
        """Documents that a checkpoint counts as finished and that are not, and the reverse."""
        ends = [(0, coverage.watermark), *coverage.beyond]
        return await self._check(
            COVERAGE_CHECKS,
            *(self._workflow_id, coverage.epoch, [first for first, _ in ends], [end for _, end in ends]),
        )

    async def _check(self, checks: dict[str, str], *arguments: object) -> list[Offence]:
        found: list[Offence] = []
        for kind, statement in checks.items():
            limited = f"SELECT *, count(*) OVER () AS all_of_them FROM ({statement}) AS offences LIMIT {NAMED_AT_MOST}"  # noqa: S608  constants only
            rows = await self._conn.fetch(limited, *arguments, timeout=WHOLE_RUN_SECONDS)
            found += [Offence(kind, row["position"], row["subject"], row["expected"], row["found"]) for row in rows]
            if rows and (more := rows[0]["all_of_them"] - len(rows)):
                found.append(Offence("more", None, kind, None, str(more)))
        return found


@asynccontextmanager
async def snapshot(pool: PostgresPool, workflow_id: str) -> AsyncIterator[Snapshot]:
    """Everything read inside the block is as of one moment.

    Raises:
        DependencyUnavailable: the database cannot be used now.
    """
    async with pool.transaction() as conn:
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The planner takes an aggregate over a run for a few rows, and would pair it with each document: measured 9.8 s
        # to count the chunks of 10,000, not 0.1 s.
        await conn.execute("SET LOCAL enable_nestloop = off")
        yield Snapshot(conn, workflow_id)
