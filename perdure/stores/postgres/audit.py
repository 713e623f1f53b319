"""Read what an audit compares, from one snapshot, so that no difference comes from a race.

Every check of documents and outputs is one statement of `sql/audit.sql`. Each check names its first few differences and
counts all of them, so the audit of a million documents needs no more memory than the audit of ten.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from perdure.manifest import ManifestTotals
from perdure.stores.postgres.audit_checks import COVERAGE_CHECKS, DOCUMENT_CHECKS, SERVICE_CHECKS, STATEMENTS
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS
from perdure.stores.postgres.queue import count_documents
from perdure.stores.postgres.statements import Statement

_ROWS_PER_FETCH = 200
_COUNTED_TABLES = ("document_texts", "chunks", "mentions", "identities", "graph_edges")


@dataclass(frozen=True, slots=True)
class RunRow:
    """The row of a run, and the claim (see `ManifestStore.claim`) that got the run's epoch."""

    epoch: int
    status: str
    claim: str | None


@dataclass(frozen=True, slots=True)
class Offence:
    """One difference that a check found; `kind` decides which of the other fields are set."""

    kind: str
    position: int | None
    subject: str
    expected: str | None
    found: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The ordinals of `epoch` that a checkpoint counts as finished.

    These are the ordinals below `watermark`, and the ordinals in the ranges `beyond`.
    """

    epoch: int
    watermark: int
    beyond: Sequence[tuple[int, int]]


class Snapshot:
    """The rows of one run at one moment; `open_snapshot` makes it."""

    def __init__(self, conn: Connection, workflow_id: str) -> None:
        self._conn = conn
        self._workflow_id = workflow_id

    async def run(self) -> RunRow | None:
        """Return the row of the run, None if there is none."""
        row = await self._conn.fetchrow(*STATEMENTS["read_run"].bind(workflow_id=self._workflow_id))
        return RunRow(**dict(row)) if row else None

    async def checkpoints(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every row of the chain by its sequence, with the columns that the database derives."""
        statement = STATEMENTS["list_checkpoints"].bind(workflow_id=self._workflow_id)
        async for row in self._conn.cursor(*statement, prefetch=_ROWS_PER_FETCH):
            yield dict(row)

    async def retired_up_to(self) -> int:
        """Return the highest sequence that retention has recorded as deleted, 0 if there is none."""
        if await self._conn.fetchval("SELECT to_regclass('public.retired_checkpoints')") is None:
            return 0
        return int(
            await self._conn.fetchval(
                "SELECT coalesce(max(up_to_sequence), 0) FROM retired_checkpoints WHERE workflow_id = $1",
                self._workflow_id,
            )
        )

    async def disabled_guards(self) -> list[str]:
        """Return the triggers of the table of checkpoints that are switched off."""
        return [row["tgname"] for row in await self._conn.fetch(*STATEMENTS["list_disabled_guards"].bind())]

    async def totals(self) -> ManifestTotals | None:
        """Return the counts over the manifest, None if it has no document."""
        return await count_documents(self._conn, self._workflow_id, limit_seconds=WHOLE_RUN_SECONDS)

    async def rows(self) -> dict[str, int]:
        """Return the number of rows of each kind of output."""
        return {table: await self._count(table) for table in _COUNTED_TABLES}

    async def _count(self, table: str) -> int:
        statement = f"SELECT count(*) FROM {table} WHERE workflow_id = $1"  # noqa: S608 - constants only
        return int(await self._conn.fetchval(statement, self._workflow_id, timeout=WHOLE_RUN_SECONDS))

    async def check_documents(self) -> list[Offence]:
        """Return documents without outputs, orphaned outputs, and rows that contradict each other."""
        return await self._check(DOCUMENT_CHECKS)

    async def check_services(self, max_identities: int) -> list[Offence]:
        """Return identities, edges, statistics and vectors that differ from the run's documents."""
        return await self._check(SERVICE_CHECKS, max_identities=max_identities)

    async def check_coverage(self, coverage: Coverage) -> list[Offence]:
        """Return the documents whose status contradicts the ordinals that a checkpoint covers."""
        ranges = [(0, coverage.watermark), *coverage.beyond]
        return await self._check(
            COVERAGE_CHECKS,
            epoch=coverage.epoch,
            firsts=[first for first, _ in ranges],
            ends=[end for _, end in ranges],
        )

    async def _check(self, checks: Mapping[str, Statement], **values: object) -> list[Offence]:
        values["workflow_id"] = self._workflow_id
        offences: list[Offence] = []
        for kind, check in checks.items():
            statement = check.bind(**{name: values[name] for name in check.parameters})
            rows = await self._conn.fetch(*statement, timeout=WHOLE_RUN_SECONDS)
            offences += [Offence(kind, row["position"], row["subject"], row["expected"], row["found"]) for row in rows]
            if rows and (more := rows[0]["all_of_them"] - len(rows)):
                offences.append(Offence("more", None, kind, None, str(more)))
        return offences


@asynccontextmanager
async def open_snapshot(pool: PostgresPool, workflow_id: str) -> AsyncIterator[Snapshot]:
    """Yield a snapshot: all reads inside the block see the database as it was at one moment.

    Raises:
        DependencyUnavailable: the database cannot be used now.
    """
    async with pool.transaction() as conn:
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The planner expects few rows from an aggregate over a run, and would join it row by row: measured 9.8 s to
        # count the chunks of 10,000 documents, and 0.1 s with this setting.
        await conn.execute("SET LOCAL enable_nestloop = off")
        yield Snapshot(conn, workflow_id)
