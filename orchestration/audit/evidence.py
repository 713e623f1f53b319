"""Read everything that an audit compares, in an order that makes a run in progress no source of false alarms.

A checkpoint is in history before it is in Postgres, and in Postgres before it is in the file. So history is read
first, for what must be in the stores; then the file; then Postgres, as of one moment; then history again, for what may
be there. Whatever happens meanwhile, each thing read later knows all that was read before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus

from orchestration.audit.entries import Entry, examine
from orchestration.client.history import WorkflowHistory, read_history
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.manifest import ManifestTotals
from perdure.services.analytics import MAX_IDENTITIES_PER_DOCUMENT
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.audit import Coverage, Offence, RunRow, Snapshot, snapshot

Say = Callable[[str], None]

COMPLETED = frozenset({"completed", "completed_with_failures"})


@dataclass
class FileEvidence:
    """One directory of checkpoint files."""

    name: str
    elements: list[Any]
    entries: list[Entry]
    damage: str | None


@dataclass
class Evidence:
    """Everything about one run, read once."""

    workflow_id: str
    before: WorkflowHistory
    files: list[FileEvidence]
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
        """Anybody has heard of the run."""
        return bool(self.history.runs or self.rows or self.run or any(one.entries or one.damage for one in self.files))

    @property
    def latest(self) -> WorkflowCheckpoint | None:
        """The newest row that can be trusted by what it says itself."""
        return next((one.intact for one in reversed(self.rows) if one.intact), None)

    @property
    def closed(self) -> bool:
        """Temporal knows the run, and that it has ended; also before the first look."""
        return bool(self.history.runs) and all(
            history.runs and history.runs[-1].status not in (None, WorkflowExecutionStatus.RUNNING)
            for history in (self.before, self.history)
        )

    @property
    def idle(self) -> bool:
        """The run is open, and nothing happened in it or was under way while the stores were read."""
        if self.closed or not self.history.runs or not self.before.runs:
            return False
        before, after = self.before.runs[-1], self.history.runs[-1]
        return (before.run_id, before.events) == (after.run_id, after.events) and after.at_rest


async def gather(client: Client, stores: Stores, workflow_id: str, say: Say, *, documents: bool = True) -> Evidence:
    """Read history, files, database and history again; without `documents`, only checkpoints.

    Raises:
        RPCError: Temporal cannot be asked.
        DependencyUnavailable: a store cannot be read.
    """
    say("reading the history")
    before = await read_history(client, workflow_id)
    say("reading the files")
    files = [await _read_file(store, workflow_id) for store in file_stores(stores)]
    evidence = Evidence(workflow_id, before, files, before)
    async with snapshot(stores.pool, workflow_id) as database:
        await _read_checkpoints(evidence, database, say)
        if documents:
            await _read_documents(evidence, database, say)
    say("reading the history again")
    evidence.history = await read_history(client, workflow_id, before)
    return evidence


def file_stores(stores: Stores) -> Sequence[PersistentCheckpointStore]:
    return [store for store in stores.checkpoints if isinstance(store, PersistentCheckpointStore)]


async def _read_file(store: PersistentCheckpointStore, workflow_id: str) -> FileEvidence:
    elements, damage = await store.examine(workflow_id)
    name = f"the file {store.path_of(workflow_id).name}"
    return FileEvidence(name, elements, [examine(one, workflow_id) for one in elements], damage)


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
        return  # a later run has begun, and has not said anything yet
    data = latest.state_data
    beyond = [(first, end) for first, end in data.beyond_watermark]
    coverage = Coverage(latest.epoch, data.watermark, beyond)
    evidence.offences += await database.check_coverage(coverage)
    if latest.workflow_status in COMPLETED:
        say("checking identities, graph, tables and vectors")
        evidence.offences += await database.check_services(MAX_IDENTITIES_PER_DOCUMENT)
