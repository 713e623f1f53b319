"""The commit protocol as a model in plain Python, without transactions, SQL and crashes.

A method does all that its docstring says, or raises a refusal and changes nothing. The protocol allows one exception:
a refused lease may have written its dispatch and attempt into some rows.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import AlreadyCommitted, CheckpointConflict, CheckpointGap, StaleWriter, StoreSetBack
from perdure.manifest import Lease

FINISHED = ("processed", "quarantined")


@dataclass
class Row:
    """One document of the manifest."""

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
    """One run: its epochs, its documents by position, and its two chains of checkpoints."""

    epoch: int = 0
    status: str | None = None
    claims: dict[str, int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    chain: list[WorkflowCheckpoint] = field(default_factory=list)
    file: list[WorkflowCheckpoint] = field(default_factory=list)

    def claim(self, run_id: str, at_least: int, replaces: int | None) -> int:
        """Return the epoch of a Temporal run, a new one at its first claim."""
        if run_id in self.claims:
            return self.claims[run_id]
        if replaces is not None and max(self.epoch, 1) > replaces:
            raise StaleWriter
        self.epoch = max(at_least, self.epoch + 1)
        self.claims[run_id] = self.epoch
        self.status = "in_progress"
        return self.epoch

    def check_epoch(self, epoch: int) -> None:
        """Refuse every epoch but the latest."""
        if self.epoch > epoch:
            raise StaleWriter
        if self.epoch < epoch:
            raise StoreSetBack

    def record(self, epoch: int, versions: dict[str, str]) -> None:
        """Add documents to the manifest, given as URI to version.

        A known document gets its new version.
        """
        self.check_epoch(epoch)
        known = {row.uri: row for row in self.rows}
        for uri, version in versions.items():
            if uri in known:
                known[uri].version = version
            else:
                self.rows.append(Row(uri, version, ordinal=len(self.rows)))

    def candidates(self, epoch: int) -> list[int]:
        """Return the positions of processed documents whose version has changed."""
        self.check_epoch(epoch)
        return [
            position
            for position, row in enumerate(self.rows)
            if row.status == "processed" and row.version != row.read_version and row.epoch < epoch
        ]

    def settle(self, epoch: int, position: int, changed: bool) -> None:
        """Record whether the content of a candidate changed."""
        self.check_epoch(epoch)
        row = self.rows[position]
        if not changed:
            row.read_version = row.version
            return
        row.status = "pending"
        row.epoch = 0
        row.ordinal = position
        row.text = None

    def enqueue_unfinished(self, epoch: int, quarantined: bool, unfinished: bool) -> dict[str, int]:
        """Queue the documents of earlier epochs that have no result."""
        self.check_epoch(epoch)
        ordinal = self.queued(epoch)
        for row in self.rows:
            retry = row.status == "quarantined" and (quarantined or row.version != row.read_version)
            if row.epoch < epoch and (retry or (unfinished and row.status in ("pending", "cancelled"))):
                row.status = "pending"
                row.epoch = epoch
                row.ordinal = ordinal
                row.lease = (0, 0)
                row.reason = None
                ordinal += 1
        return self.totals()

    def queued(self, epoch: int) -> int:
        """Return the number of ordinals of the epoch."""
        return max((row.ordinal + 1 for row in self.rows if row.epoch == epoch), default=0)

    def lease(self, lease: Lease, first: int, end: int) -> list[tuple[int, str]]:
        """Lease the pending documents of the ordinals [first, end).

        Returns all documents of the ordinals as (position, status).
        """
        queue = sorted((row.ordinal, position) for position, row in enumerate(self.rows) if row.epoch == lease.epoch)
        wanted = [position for ordinal, position in queue if first <= ordinal < end]
        refused = False
        for position in wanted:
            row = self.rows[position]
            if row.status != "pending":
                continue
            if row.lease <= (lease.dispatch, lease.attempt):
                row.lease = (lease.dispatch, lease.attempt)
            else:
                refused = True
        if len(wanted) < end - first:
            raise StaleWriter if self.epoch > lease.epoch else StoreSetBack
        if refused:
            raise StaleWriter
        return [(position, self.rows[position].status) for position in wanted]

    def commit(self, lease: Lease, position: int, text: str) -> None:
        """Give a leased document its text."""
        row = self._find_leased(lease, position)
        row.status = "processed"
        row.text = text
        row.read_version = row.version
        row.reason = None

    def quarantine(self, lease: Lease, position: int, reason: str) -> None:
        """Give a leased document the reason of its quarantine."""
        row = self._find_leased(lease, position)
        row.status = "quarantined"
        row.reason = reason
        row.read_version = row.version

    def _find_leased(self, lease: Lease, position: int) -> Row:
        row = self.rows[position]
        if row.status in FINISHED:
            raise AlreadyCommitted
        if row.status != "pending" or (row.epoch, *row.lease) != (lease.epoch, lease.dispatch, lease.attempt):
            raise StaleWriter
        return row

    def close_run(self, epoch: int, status: str, expected_finished: int | None) -> dict[str, int]:
        """Record the final status of the run."""
        self.check_epoch(epoch)
        before = self.totals()
        if expected_finished is not None and (before["pending"] or before["total"] < expected_finished):
            raise StoreSetBack
        self.status = status
        for row in self.rows:
            if status == "cancelled" and row.status == "pending":
                row.status = "cancelled"
        return self.totals()

    def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Append to the chain in Postgres; return whether the checkpoint is new."""
        return self._append(self.chain, checkpoint, max(self.epoch, self.chain[-1].epoch if self.chain else 0))

    def append_to_file(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Append to the chain in the file; return whether the checkpoint is new."""
        return self._append(self.file, checkpoint, self.file[-1].epoch if self.file else 0)

    def _append(self, chain: list[WorkflowCheckpoint], new: WorkflowCheckpoint, fence: int) -> bool:
        for stored in chain:
            if stored.checkpoint_id == new.checkpoint_id:
                if stored != new:
                    raise CheckpointConflict
                return False
        if new.epoch < fence:
            raise StaleWriter
        if chain and (new.sequence != chain[-1].sequence + 1 or new.previous_digest != chain[-1].digest):
            raise CheckpointGap
        chain.append(new)
        return True

    def totals(self) -> dict[str, int]:
        """Return the counts of documents by status."""
        statuses = [row.status for row in self.rows]
        counts = {name: statuses.count(name) for name in ("processed", "quarantined", "cancelled", "pending")}
        return {"total": len(statuses), **counts, "queued": self.queued(self.epoch)}

    def snapshot(self) -> dict[str, Any]:
        """Return everything that the stores show of this run."""
        return {
            "epoch": self.epoch,
            "status": self.status,
            "claims": dict(self.claims),
            "rows": [asdict(row) for row in self.rows],
            "chain": [checkpoint.digest for checkpoint in self.chain],
            "file": [checkpoint.digest for checkpoint in self.file],
        }
