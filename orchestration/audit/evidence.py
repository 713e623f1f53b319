"""Reads all data that an audit compares.

The order of reading ensures that a run in progress causes no false difference. A checkpoint is in history before it is
in Postgres, and in Postgres before it is in a follower. So the audit reads history first, for the checkpoints that must
be in the stores; then the followers; then Postgres, as of one moment; then history again, for the checkpoints that may
be in the stores. Each source holds everything that an earlier source held.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus

from orchestration.audit.entries import Entry, examine
from orchestration.client.history import WorkflowHistory, read_history
from orchestration.stores import Stores
from perdure.checkpoint import Auditable, WorkflowCheckpoint
from perdure.manifest import ManifestTotals
from perdure.services.analytics import MAX_IDENTITIES_PER_DOCUMENT
from perdure.stores.postgres.audit import Coverage, Offence, RunRow, Snapshot, open_snapshot

Say = Callable[[str], None]
"""Called with a short description of the current step."""

COMPLETED = frozenset({"completed", "completed_with_failures"})
"""The statuses of runs that have identities, graph, tables and vectors."""


@dataclass
class FollowerEvidence:
    """The checkpoints of the run in one follower: its file, or its objects in a bucket."""

    store: Auditable
    name: str
    """The store's place, as messages name it, such as "the file x_checkpoints.json"."""
    elements: list[Any]
    """The elements as stored, for `Auditable.replace`."""
    entries: list[Entry]
    damage: str | None
    """The damage of the whole file or bucket, as a clause of a sentence."""


@dataclass
class Evidence:
    """All data about one run, read once.

    `before` is the history at a time before the stores were read.
    """

    workflow_id: str
    before: WorkflowHistory
    followers: list[FollowerEvidence]
    history: WorkflowHistory
    rows: list[Entry] = field(default_factory=list)
    run: RunRow | None = None
    retired: int = 0
    disabled_guards: list[str] = field(default_factory=list)
    totals: ManifestTotals | None = None
    outputs: dict[str, int] = field(default_factory=dict)
    offences: list[Offence] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Return whether Temporal or any store knows the run."""
        in_followers = any(follower.entries or follower.damage for follower in self.followers)
        return bool(self.history.runs or self.rows or self.run or in_followers)

    @property
    def latest(self) -> WorkflowCheckpoint | None:
        """Return the newest intact checkpoint in Postgres; None if there is none."""
        return next((entry.intact for entry in reversed(self.rows) if entry.intact), None)

    @property
    def closed(self) -> bool:
        """Return whether Temporal shows that the run had ended before the stores were read."""
        return bool(self.history.runs) and all(
            history.runs and history.runs[-1].status not in (None, WorkflowExecutionStatus.RUNNING)
            for history in (self.before, self.history)
        )

    @property
    def idle(self) -> bool:
        """Return whether the run is open, but did nothing while the stores were read."""
        if self.closed or not self.history.runs or not self.before.runs:
            return False
        before = self.before.runs[-1]
        after = self.history.runs[-1]
        return (before.run_id, before.events) == (after.run_id, after.events) and after.at_rest


async def gather(client: Client, stores: Stores, workflow_id: str, say: Say, *, documents: bool = True) -> Evidence:
    """Read history, followers, database, and history again.

    Args:
        client: any client of the namespace.
        stores: the open stores.
        workflow_id: the run.
        say: called with a short description before each step.
        documents: whether documents and outputs are read too.

    Raises:
        RPCError: Temporal cannot be asked.
        DependencyUnavailable: a store cannot be read.
    """
    say("reading the history")
    before = await read_history(client, workflow_id)
    followers = []
    for store in stores.auditable:
        say(f"reading the {store.name}")
        followers.append(await _read_follower(store, workflow_id))
    evidence = Evidence(workflow_id, before, followers, before)
    async with open_snapshot(stores.pool, workflow_id) as database:
        await _read_checkpoints(evidence, database, say)
        if documents:
            await _read_documents(evidence, database, say)
    say("reading the history again")
    evidence.history = await read_history(client, workflow_id, before)
    return evidence


async def _read_follower(store: Auditable, workflow_id: str) -> FollowerEvidence:
    elements, damage = await store.examine(workflow_id)
    entries = [examine(element, workflow_id) for element in elements]
    return FollowerEvidence(store, store.place_of(workflow_id), elements, entries, damage)


async def _read_checkpoints(evidence: Evidence, database: Snapshot, say: Say) -> None:
    say("reading the checkpoints in Postgres")
    evidence.run = await database.run()
    async for row in database.checkpoints():
        evidence.rows.append(examine(row, evidence.workflow_id))
    evidence.retired = await database.retired_up_to()
    evidence.disabled_guards = await database.disabled_guards()


async def _read_documents(evidence: Evidence, database: Snapshot, say: Say) -> None:
    say("counting documents and outputs")
    evidence.totals = await database.totals()
    evidence.outputs = await database.rows()
    say("checking documents and outputs")
    evidence.offences = await database.check_documents()
    latest = evidence.latest
    if not latest or not evidence.run or latest.epoch != evidence.run.epoch:
        return  # a later run has begun, and has made no checkpoint yet
    data = latest.state_data
    beyond = [(first, end) for first, end in data.beyond_watermark]
    coverage = Coverage(latest.epoch, data.watermark, beyond)
    evidence.offences += await database.check_coverage(coverage)
    if latest.workflow_status in COMPLETED:
        say("checking identities, graph, tables and vectors")
        evidence.offences += await database.check_services(MAX_IDENTITIES_PER_DOCUMENT)
