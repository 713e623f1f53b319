"""Read the data of a report about a run, from Postgres alone, in one snapshot."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby, pairwise

import asyncpg

from perdure.checkpoint import TERMINAL_STATUSES
from perdure.report.backbone import STRONGEST
from perdure.report.data import (
    ONE_MOMENT,
    QUALITY_BUCKETS,
    CheckpointAt,
    Counts,
    Edge,
    FailedDocument,
    FailureGroup,
    FinishedAt,
    Format,
    GraphPicture,
    Identity,
    IdentityKind,
    Interruption,
    Node,
    RunReportData,
    ServiceHistory,
    ServiceSpan,
)
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS
from perdure.stores.postgres.statements import Statement, load_statements

POINTS = 240
"""Number of slices of time; a curve has at most one point in each slice."""
MARKS = 160
"""Number of slices of time; a report marks at most one checkpoint in each slice."""
INTERRUPTIONS = 60
FORMATS = 15
FAILURES_PER_GROUP = 5
FAILURES = 100
IDENTITIES_PER_KIND = 8
IDENTITIES = 160
NODES = 60
EDGES = 240
QUANTITIES = ("date", "money")
"""Kinds that the picture of the graph leaves out: they occur in many documents and connect none of them."""
SERVICE_CHANGES = 400

_SQL = load_statements("report.sql")


async def read_report(pool: PostgresPool, workflow_id: str) -> RunReportData | None:
    """Return what Postgres holds of a run; None if it holds no run of this id.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.transaction() as conn:
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        run = await conn.fetchrow(*_SQL["read_run"].bind(workflow_id=workflow_id))
        if run is None:
            return None
        return await _read_run(_Reader(conn, workflow_id), run)


class _Reader:
    """Executes the statements of a report over one run."""

    def __init__(self, conn: Connection, workflow_id: str) -> None:
        self._conn = conn
        self.workflow_id = workflow_id

    async def rows(self, name: str, **values: object) -> list[asyncpg.Record]:
        """Return the rows of one statement of `report.sql`."""
        statement: Statement = _SQL[name]
        bound = statement.bind(workflow_id=self.workflow_id, **values)
        return list(await self._conn.fetch(*bound, timeout=WHOLE_RUN_SECONDS))


async def _read_run(reader: _Reader, run: asyncpg.Record) -> RunReportData:
    [totals] = await reader.rows("count_documents")
    status = _read_status(run)
    first_times = [time for time in (run["began"], totals["first_commit"]) if time]
    began = min(first_times)
    last_times = [time for time in (run["last_checkpoint"], totals["last_commit"]) if time]
    ended = status in TERMINAL_STATUSES
    as_of = max(last_times, default=run["updated_at"]) if ended else run["asked_at"]
    seconds = max((as_of - began).total_seconds(), 0.001)
    return RunReportData(
        workflow_id=reader.workflow_id,
        status=status,
        began=began,
        as_of=as_of,
        counts=_make_counts(totals, run),
        progress=_sum_progress(await reader.rows("list_progress", began=began, slice=seconds / POINTS)),
        checkpoints=[
            CheckpointAt(row["time"], row["sequence"], row["documents"])
            for row in await reader.rows("list_checkpoints", began=began, slice=seconds / MARKS)
        ],
        interruptions=await _read_interruptions(reader),
        quality=_make_histogram(await reader.rows("count_quality", buckets=QUALITY_BUCKETS)),
        formats=[Format(**row) for row in await reader.rows("list_formats", limit=FORMATS)],
        failures=_group_failures(await reader.rows("list_failures", per_group=FAILURES_PER_GROUP, limit=FAILURES)),
        identities=_group_identities(
            await reader.rows("list_identities", per_kind=IDENTITIES_PER_KIND, limit=IDENTITIES)
        ),
        graph=await _read_graph(reader),
        services=_make_histories(await reader.rows("list_service_changes", limit=SERVICE_CHANGES), as_of),
        forked_from=run["forked_from_workflow"],
        history_known=False,
    )


def _read_status(run: asyncpg.Record) -> str:
    """Return the latest checkpoint's status while the run is open, else that of the run's row.

    After a run was resumed, its latest checkpoint may still have the status of the run's earlier end.
    """
    checkpoint_status: str | None = run["checkpoint_status"]
    is_open = run["status"] not in TERMINAL_STATUSES
    if checkpoint_status and is_open and checkpoint_status not in TERMINAL_STATUSES:
        return checkpoint_status
    return str(run["status"])


def _make_counts(totals: asyncpg.Record, run: asyncpg.Record) -> Counts:
    sums = {name: totals[name] for name in totals.keys() if not name.endswith("_commit")}  # noqa: SIM118 - a record
    return Counts(**sums, checkpoints=run["checkpoints"], identities=run["identities"], edges=run["edges"])


def _sum_progress(rows: Iterable[asyncpg.Record]) -> Sequence[FinishedAt]:
    processed = 0
    quarantined = 0
    points = []
    for row in rows:
        processed += row["processed"]
        quarantined += row["quarantined"]
        points.append(FinishedAt(row["time"], processed, quarantined))
    return points


async def _read_interruptions(reader: _Reader) -> Sequence[Interruption]:
    interruptions = [
        Interruption(row["timestamp"], "recovery", row["note"])
        for row in await reader.rows("list_recoveries", limit=INTERRUPTIONS)
    ]
    interruptions += [
        Interruption(row["claimed_at"], "resumption", "The run was resumed.")
        for row in await reader.rows("list_epochs", limit=INTERRUPTIONS)
        if row["epoch"] > 1
    ]
    for row in await reader.rows("list_retries", gap=ONE_MOMENT, limit=INTERRUPTIONS):
        number = row["documents"]
        note = "1 document was" if number == 1 else f"{number} documents were"
        sentence = f"{note} finished by the second or a later attempt."
        interruptions.append(Interruption(row["time"], "retry", sentence))
    return sorted(interruptions, key=lambda interruption: (interruption.time, interruption.kind))


def _make_histogram(rows: Iterable[asyncpg.Record]) -> Sequence[int]:
    counts = {row["bucket"]: row["documents"] for row in rows}
    return [counts.get(bucket, 0) for bucket in range(QUALITY_BUCKETS)]


def _group_failures(rows: Sequence[asyncpg.Record]) -> Sequence[FailureGroup]:
    groups = []
    for (error_type, count), group in groupby(rows, key=lambda row: (row["error_type"], row["documents"])):
        documents = [FailedDocument(row["name"], row["uri"], row["reason"]) for row in group]
        groups.append(FailureGroup(error_type, count, documents))
    return groups


def _group_identities(rows: Sequence[asyncpg.Record]) -> Sequence[IdentityKind]:
    kinds = []
    for (kind, count), group in groupby(rows, key=lambda row: (row["kind"], row["of_kind"])):
        top = [Identity(row["name"], row["document_count"], row["mention_count"]) for row in group]
        kinds.append(IdentityKind(kind, count, top))
    return kinds


async def _read_graph(reader: _Reader) -> GraphPicture:
    nodes = [Node(**row) for row in await reader.rows("list_nodes", limit=NODES, left_out_kinds=list(QUANTITIES))]
    node_ids = [node.identity_id for node in nodes]
    edges = await reader.rows("list_edges", node_ids=node_ids, limit=EDGES, per_node=STRONGEST)
    return GraphPicture(nodes, [Edge(**row) for row in edges])


def _make_histories(rows: Sequence[asyncpg.Record], as_of: datetime) -> Sequence[ServiceHistory]:
    histories = []
    for name, group in groupby(rows, key=lambda row: str(row["name"])):
        changes = list(group)
        ends = [later["timestamp"] for _, later in pairwise(changes)] + [max(as_of, changes[-1]["timestamp"])]
        spans = [
            ServiceSpan(row["timestamp"], end, row["status"], row["why"])
            for row, end in zip(changes, ends, strict=True)
        ]
        histories.append(ServiceHistory(name, spans))
    return histories
