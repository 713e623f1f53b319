"""`rebuild_mirror`: make every checkpoint store hold the right chain again.

The right chain comes from history. Where history is gone, the chain comes from the copies that the digests confirm.
Only checkpoints are repaired: a resumed run makes missing documents and outputs again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from temporalio.client import Client

from orchestration.audit.chain import Chain
from orchestration.audit.entries import Entry
from orchestration.audit.evidence import Evidence, FollowerEvidence, Say
from orchestration.audit.findings import ranges
from orchestration.audit.verification import look
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointGap, RefusedCommand
from perdure.stores.postgres.rebuild import rebuild_chain

ATTEMPTS = 10
"""Number of tries. If the run writes during a try, the next try reads all data again."""


@dataclass
class Repair:
    """The changes to one store, in checkpoints; `kept_at` names the place of the former content."""

    store: str
    appended: int = 0
    replaced: int = 0
    removed: int = 0
    kept_at: str | None = None

    @property
    def sentence(self) -> str:
        """Return the changes as one sentence."""
        done = [f"{number} {what}" for what, number in self._list_numbers() if number]
        kept = f"; the former content is kept in {self.kept_at}" if self.kept_at else ""
        name = f"{self.store[0].upper()}{self.store[1:]}"
        return f"{name}: checkpoints {', '.join(done)}{kept}." if done or kept else f"{name} needed no repair."

    def count(
        self, entries: Sequence[Entry], missing: Sequence[WorkflowCheckpoint], wrong: Sequence[int | None]
    ) -> None:
        """Count the changes that put the missing checkpoints in place of the wrong entries."""
        present = {entry.sequence for entry in entries}
        self.replaced = sum(checkpoint.sequence in present for checkpoint in missing)
        self.appended = len(missing) - self.replaced
        self.removed = max(0, len(wrong) - self.replaced)

    def _list_numbers(self) -> list[tuple[str, int]]:
        return [("appended", self.appended), ("replaced", self.replaced), ("removed", self.removed)]


@dataclass
class Rebuilt:
    """The result of `rebuild_mirror`."""

    workflow_id: str
    checkpoints: int
    """Length of the chain, pruned checkpoints included."""
    repairs: list[Repair] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Return whether any store was changed."""
        return any(repair.appended or repair.replaced or repair.removed or repair.kept_at for repair in self.repairs)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form of `rebuild-mirror --json`."""
        return {
            "workflow_id": self.workflow_id,
            "checkpoints": self.checkpoints,
            "changed": self.changed,
            "repairs": [asdict(repair) for repair in self.repairs],
        }


async def rebuild_mirror(client: Client, stores: Stores, workflow_id: str, say: Say = lambda _: None) -> Rebuilt:
    """Make every store hold the right chain.

    A repeated call changes nothing, and a running run is not disturbed.

    Args:
        client: any client of the namespace.
        stores: the open stores.
        workflow_id: the run.
        say: called with a short description before each step.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        RefusedCommand: no digest decides which copy is right, or no copy is intact; nothing was changed.
        RPCError: Temporal cannot be asked.
        DependencyUnavailable: a store cannot be used.
    """
    for attempt in range(1, ATTEMPTS + 1):
        evidence, chain, _ = await look(client, stores, workflow_id, say, documents=False)
        _refuse_if_undecided(evidence, chain)
        rebuilt = Rebuilt(workflow_id, chain.tip)
        try:
            say("writing to Postgres")
            rebuilt.repairs.append(await _rebuild_rows(stores, evidence, chain))
            for follower in evidence.followers:
                say(f"writing {follower.name}")
                rebuilt.repairs.append(await _rebuild_follower(evidence, follower, chain))
        except CheckpointGap:
            if attempt == ATTEMPTS:
                raise
        else:
            return rebuilt
    raise AssertionError("the last attempt returns or raises")  # pragma: no cover


def _refuse_if_undecided(evidence: Evidence, chain: Chain) -> None:
    if chain.contradicted:
        places = _format_places(sorted(chain.contradicted))
        why = "the stores agree on a copy that history contradicts" if evidence.history.runs else "history is gone"
        raise RefusedCommand(
            f"It cannot be decided which copy is right: intact copies contradict each other at {places}, and {why}. "
            "Nothing was changed."
        )
    retired = max(evidence.retired, min(chain.contents, default=1) - 1)
    if lost := [place for place in range(retired + 1, chain.tip + 1) if place not in chain.contents]:
        raise RefusedCommand(
            f"No store and no history has an intact copy of {_format_places(lost)}, so the mirror cannot be "
            "repaired. Nothing was changed."
        )


def _format_places(places: Sequence[int]) -> str:
    names = [str(first) if first == last else f"{first} to {last}" for first, last in ranges(places)]
    return f"checkpoint {names[0]}" if len(places) == 1 else f"the checkpoints {', '.join(names)}"


async def _rebuild_rows(stores: Stores, evidence: Evidence, chain: Chain) -> Repair:
    repair = Repair("Postgres")
    wanted = _select_wanted(chain, evidence.retired)
    kept, wrong = _count_agreeing(evidence.rows, wanted)
    missing = wanted[kept:]
    if not wrong:
        # Only the end of the chain is missing, so that plain appends complete it.
        repair.appended = await stores.leader.restore(missing)
        return repair
    first = min(place for place in [*[checkpoint.sequence for checkpoint in missing], *wrong] if place)
    repair.count(evidence.rows, missing, wrong)
    last_seen = max(entry.sequence or 0 for entry in evidence.rows)
    await rebuild_chain(stores.pool, evidence.workflow_id, first, missing, last_seen=last_seen)
    return repair


async def _rebuild_follower(evidence: Evidence, follower: FollowerEvidence, chain: Chain) -> Repair:
    repair = Repair(follower.name)
    entries = follower.entries
    first = min((entry.sequence for entry in entries if entry.sequence), default=1)
    wanted = _select_wanted(chain, min(first - 1, evidence.retired))
    kept, wrong = _count_agreeing(entries, wanted)
    missing = wanted[kept:]
    if not wrong and not follower.damage:
        repair.appended = await follower.store.restore(missing)
        return repair
    repair.count(entries, missing, wrong)
    repair.kept_at = await follower.store.replace(evidence.workflow_id, wanted, follower.elements)
    return repair


def _select_wanted(chain: Chain, retired: int) -> list[WorkflowCheckpoint]:
    return [chain.contents[place] for place in sorted(chain.contents) if place > retired]


def _count_agreeing(entries: Sequence[Entry], wanted: Sequence[WorkflowCheckpoint]) -> tuple[int, list[int | None]]:
    """Return the number of correct first entries, and the sequences of the later entries."""
    kept = 0
    for entry, right in zip(entries, wanted, strict=False):
        if entry.intact is None or entry.intact.digest != right.digest:
            break
        kept += 1
    return kept, [entry.sequence for entry in entries[kept:]]
