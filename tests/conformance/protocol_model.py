"""The commit protocol as a model: a few dozen lines of plain Python that say what the stores must do.

It has no transactions, no SQL and no crashes. A method either does all it says or raises the refusal and does nothing,
with one exception that the protocol allows: a lease that is refused may have moved some rows to its number.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import AlreadyCommitted, CheckpointConflict, CheckpointGap, StaleWriter, StoreSetBack
from perdure.manifest import Lease

FINISHED = ("processed", "quarantined")


@dataclass
class Row:
    """One document."""

    uri: str
    version: str
    status: str = "pending"
    epoch: int = 0
    ordinal: int = 0
    lease: tuple[int, int] = (0, 0)
    read_version: str | None = None
    text: str | None = None
    reason: str | None = None


@dataclass
class Protocol:
    """One workflow id: its epochs, its documents by position, its chain of checkpoints in Postgres and in the file."""

    epoch: int = 0
    status: str | None = None
    claims: dict[str, int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    chain: list[WorkflowCheckpoint] = field(default_factory=list)
    file: list[WorkflowCheckpoint] = field(default_factory=list)

    def claim(self, run_id: str, at_least: int, replaces: int | None) -> int:
        if run_id in self.claims:
            return self.claims[run_id]
        if replaces is not None and max(self.epoch, 1) > replaces:
            raise StaleWriter
        self.epoch = self.claims[run_id] = max(at_least, self.epoch + 1)
        self.status = "in_progress"
        return self.epoch

    def hold(self, epoch: int) -> None:
        if self.epoch > epoch:
            raise StaleWriter
        if self.epoch < epoch:
            raise StoreSetBack

    def record(self, epoch: int, found: dict[str, str]) -> None:
        self.hold(epoch)
        known = {row.uri: row for row in self.rows}
        for uri, version in found.items():
            if uri in known:
                known[uri].version = version
            else:
                self.rows.append(Row(uri, version, ordinal=len(self.rows)))

    def candidates(self, epoch: int) -> list[int]:
        self.hold(epoch)
        return [
            position
            for position, row in enumerate(self.rows)
            if row.status == "processed" and row.version != row.read_version and row.epoch < epoch
        ]

    def settle(self, epoch: int, position: int, changed: bool) -> None:
        self.hold(epoch)
        row = self.rows[position]
        if not changed:
            row.read_version = row.version
            return
        row.status, row.epoch, row.ordinal, row.text = "pending", 0, position, None

    def enqueue_unfinished(self, epoch: int, quarantined: bool, unfinished: bool) -> dict[str, int]:
        self.hold(epoch)
        ordinal = self.queued(epoch)
        for row in self.rows:
            again = row.status == "quarantined" and (quarantined or row.version != row.read_version)
            if row.epoch < epoch and (again or (unfinished and row.status in ("pending", "cancelled"))):
                row.status, row.epoch, row.ordinal = "pending", epoch, ordinal
                row.lease, row.reason = (0, 0), None
                ordinal += 1
        return self.totals()

    def queued(self, epoch: int) -> int:
        return max((row.ordinal + 1 for row in self.rows if row.epoch == epoch), default=0)

    def lease(self, lease: Lease, first: int, end: int) -> list[tuple[int, str]]:
        """(position, status) of the ordinals."""
        queue = sorted((row.ordinal, position) for position, row in enumerate(self.rows) if row.epoch == lease.epoch)
        mine = [position for ordinal, position in queue if first <= ordinal < end]
        refused = False
        for position in mine:
            row = self.rows[position]
            if row.status != "pending":
                continue
            if row.lease <= (lease.dispatch, lease.attempt):
                row.lease = (lease.dispatch, lease.attempt)
            else:
                refused = True
        if len(mine) < end - first:
            raise StaleWriter if self.epoch > lease.epoch else StoreSetBack
        if refused:
            raise StaleWriter
        return [(position, self.rows[position].status) for position in mine]

    def commit(self, lease: Lease, position: int, text: str) -> None:
        row = self._leased(lease, position)
        row.status, row.text, row.read_version, row.reason = "processed", text, row.version, None

    def quarantine(self, lease: Lease, position: int, reason: str) -> None:
        row = self._leased(lease, position)
        row.status, row.reason, row.read_version = "quarantined", reason, row.version

    def _leased(self, lease: Lease, position: int) -> Row:
        row = self.rows[position]
        if row.status in FINISHED:
            raise AlreadyCommitted
        if row.status != "pending" or (row.epoch, *row.lease) != (lease.epoch, lease.dispatch, lease.attempt):
            raise StaleWriter
        return row

    def close_run(self, epoch: int, status: str, expected_finished: int | None) -> dict[str, int]:
        self.hold(epoch)
        before = self.totals()
        if expected_finished is not None and (before["pending"] or before["total"] < expected_finished):
            raise StoreSetBack
        self.status = status
        for row in self.rows:
            if status == "cancelled" and row.status == "pending":
                row.status = "cancelled"
        return self.totals()

    def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """To Postgres."""
        return self._append(self.chain, checkpoint, max(self.epoch, self.chain[-1].epoch if self.chain else 0))

    def append_to_file(self, checkpoint: WorkflowCheckpoint) -> bool:
        return self._append(self.file, checkpoint, self.file[-1].epoch if self.file else 0)

    def _append(self, chain: list[WorkflowCheckpoint], new: WorkflowCheckpoint, fence: int) -> bool:
        for one in chain:
            if one.checkpoint_id == new.checkpoint_id:
                if one != new:
                    raise CheckpointConflict
                return False
        if new.epoch < fence:
            raise StaleWriter
        if chain and (new.sequence != chain[-1].sequence + 1 or new.previous_digest != chain[-1].digest):
            raise CheckpointGap
        chain.append(new)
        return True

    def totals(self) -> dict[str, int]:
        statuses = [row.status for row in self.rows]
        counted = {name: statuses.count(name) for name in ("processed", "quarantined", "cancelled", "pending")}
        return {"total": len(statuses), **counted, "queued": self.queued(self.epoch)}

    def seen(self) -> dict[str, Any]:
        """Everything that can be seen of it from outside."""
        return {
            "epoch": self.epoch,
            "status": self.status,
            "claims": dict(self.claims),
            "rows": [asdict(row) for row in self.rows],
            "chain": [one.digest for one in self.chain],
            "file": [one.digest for one in self.file],
        }
