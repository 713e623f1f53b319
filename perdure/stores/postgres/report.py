"""Everything that a report shows of a run, read from Postgres alone, in one snapshot."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby, pairwise

import asyncpg

from perdure.checkpoint import TERMINAL_STATUSES
from perdure.report.backbone import STRONGEST
from perdure.report.data import (
    ONE_MOMENT,
    QUALITY_BUCKETS,
    CheckpointMark,
    Counts,
    Edge,
    FailedDocument,
    FailureGroup,
    Format,
    GraphPicture,
    Identity,
    IdentityKind,
    Interruption,
    Node,
    Progress,
    RunReportData,
    ServiceHistory,
    ServiceSpan,
)
from perdure.stores.postgres import report_sql as sql
from perdure.stores.postgres.connection import Connection, PostgresPool
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS

POINTS = 240
"""Slices of time in which a curve has one point at the most."""
MARKS = 160
INTERRUPTIONS = 60
FORMATS = 15
FAILURES_PER_GROUP, FAILURES = 5, 100
IDENTITIES_PER_KIND, IDENTITIES = 8, 160
NODES, EDGES = 60, 240
QUANTITIES = ("date", "money")
"""Kinds that are no node in the picture: they stand in many documents and connect nothing."""
SERVICE_CHANGES = 400


async def read_report(pool: PostgresPool, workflow_id: str) -> RunReportData | None:
    """What Postgres knows of a run; None if it knows none of this id.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    async with pool.transaction() as conn:
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        run = await conn.fetchrow(sql.RUN, workflow_id)
        if run is None:
            return None
        [totals] = await _rows(conn, sql.COUNTS, workflow_id)
        status = _status(run)
        ended = status in TERMINAL_STATUSES
        seen = [one for one in (run["last_checkpoint"], totals["last_commit"]) if one]
        as_of = max(seen, default=run["updated_at"]) if ended else run["asked_at"]
        began = min([run["began"], *[one for one in (totals["first_commit"],) if one]])
        seconds = max((as_of - began).total_seconds(), 0.001)
        return RunReportData(
            workflow_id=workflow_id,
            status=status,
            began=began,
            as_of=as_of,
            counts=_counts(totals, run),
            progress=_progress(await _rows(conn, sql.PROGRESS, workflow_id, began, seconds / POINTS)),
            checkpoints=[
                CheckpointMark(row["time"], row["sequence"], row["documents"])
                for row in await _rows(conn, sql.CHECKPOINTS, workflow_id, began, seconds / MARKS)
            ],
            interruptions=await _interruptions(conn, workflow_id),
            quality=_histogram(await _rows(conn, sql.QUALITY, workflow_id, QUALITY_BUCKETS)),
            formats=[Format(**row) for row in await _rows(conn, sql.FORMATS, workflow_id, FORMATS)],
            failures=_failures(await _rows(conn, sql.FAILURES, workflow_id, FAILURES_PER_GROUP, FAILURES)),
            identities=_identities(await _rows(conn, sql.IDENTITIES, workflow_id, IDENTITIES_PER_KIND, IDENTITIES)),
            graph=await _graph(conn, workflow_id),
            services=_services(await _rows(conn, sql.SERVICES, workflow_id, SERVICE_CHANGES), as_of),
            forked_from=run["forked_from_workflow"],
            history_known=False,
        )


def _status(run: asyncpg.Record) -> str:
    """Of a run taken up again after its end, the last checkpoint still tells of that end."""
    marked: str | None = run["checkpoint_status"]
    going_on = run["status"] not in TERMINAL_STATUSES
    return marked if marked and going_on and marked not in TERMINAL_STATUSES else str(run["status"])


async def _rows(conn: Connection, statement: str, *arguments: object) -> list[asyncpg.Record]:
    return list(await conn.fetch(statement, *arguments, timeout=WHOLE_RUN_SECONDS))


def _counts(totals: asyncpg.Record, run: asyncpg.Record) -> Counts:
    own = {name: totals[name] for name in totals.keys() if not name.endswith("_commit")}  # noqa: SIM118 - a record
    return Counts(**own, checkpoints=run["checkpoints"], identities=run["identities"], edges=run["edges"])


def _progress(rows: Iterable[asyncpg.Record]) -> Sequence[Progress]:
    processed = quarantined = 0
    points = []
    for row in rows:
        processed += row["processed"]
        quarantined += row["quarantined"]
        points.append(Progress(row["time"], processed, quarantined))
    return points


async def _interruptions(conn: Connection, workflow_id: str) -> Sequence[Interruption]:
    recovered = await _rows(conn, sql.RECOVERIES, workflow_id, INTERRUPTIONS)
    found = [Interruption(row["timestamp"], "recovery", row["note"]) for row in recovered]
    epochs = await _rows(conn, sql.EPOCHS, workflow_id, INTERRUPTIONS)
    found += [
        Interruption(row["claimed_at"], "resumption", "The run was taken up again.")
        for row in epochs
        if row["epoch"] > 1
    ]
    for row in await _rows(conn, sql.RETRIES, workflow_id, INTERRUPTIONS, ONE_MOMENT):
        number = row["documents"]
        note = "1 document was" if number == 1 else f"{number} documents were"
        found.append(Interruption(row["time"], "retry", f"{note} finished by a later attempt than the first."))
    return sorted(found, key=lambda one: (one.time, one.kind))


def _histogram(rows: Iterable[asyncpg.Record]) -> Sequence[int]:
    found = {row["bucket"]: row["documents"] for row in rows}
    return [found.get(bucket, 0) for bucket in range(QUALITY_BUCKETS)]


def _failures(rows: Sequence[asyncpg.Record]) -> Sequence[FailureGroup]:
    groups = []
    for (error_type, count), group in groupby(rows, key=lambda row: (row["error_type"], row["documents"])):
        documents = [FailedDocument(row["name"], row["uri"], row["reason"]) for row in group]
        groups.append(FailureGroup(error_type, count, documents))
    return groups


def _identities(rows: Sequence[asyncpg.Record]) -> Sequence[IdentityKind]:
    kinds = []
    for (kind, count), group in groupby(rows, key=lambda row: (row["kind"], row["of_kind"])):
        top = [Identity(row["name"], row["document_count"], row["mention_count"]) for row in group]
        kinds.append(IdentityKind(kind, count, top))
    return kinds


async def _graph(conn: Connection, workflow_id: str) -> GraphPicture:
    nodes = [Node(**row) for row in await _rows(conn, sql.NODES, workflow_id, NODES, list(QUANTITIES))]
    ids = [node.identity_id for node in nodes]
    edges = [Edge(**row) for row in await _rows(conn, sql.EDGES, workflow_id, ids, EDGES, STRONGEST)]
    return GraphPicture(nodes, edges)


def _services(rows: Sequence[asyncpg.Record], as_of: datetime) -> Sequence[ServiceHistory]:
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
