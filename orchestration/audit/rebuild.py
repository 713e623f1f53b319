"""`rebuild-mirror`: make the mirror in Postgres and the files whole again.

The right chain comes from history, and where history is gone from whichever copy the digests vouch for. Only
checkpoints are repaired: documents and outputs that are missing are made again by resuming the run.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from temporalio.client import Client

from orchestration.audit.chain import Chain
from orchestration.audit.entries import Entry
from orchestration.audit.evidence import Evidence, FileEvidence, Say, file_stores
from orchestration.audit.findings import ranges
from orchestration.audit.verification import look
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointGap, RefusedCommand
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres.rebuild import rebuild_chain

ATTEMPTS = 10
"""A run that goes on may write while its mirror is being rebuilt: then everything is read again."""


@dataclass
class Repair:
    """What was done to one store; `replaced` and `removed` count rows or elements, `kept_at` is the damaged file."""

    store: str
    appended: int = 0
    replaced: int = 0
    removed: int = 0
    kept_at: str | None = None

    @property
    def sentence(self) -> str:
        done = [f"{number} {what}" for what, number in self._numbers() if number]
        kept = f"; what was there is kept in {self.kept_at}" if self.kept_at else ""
        name = f"{self.store[0].upper()}{self.store[1:]}"
        return f"{name}: checkpoints {', '.join(done)}{kept}." if done or kept else f"{name} was whole already."

    def _numbers(self) -> list[tuple[str, int]]:
        return [("appended", self.appended), ("written anew", self.replaced), ("removed", self.removed)]


@dataclass
class Rebuilt:
    """The answer of `rebuild_mirror`."""

    workflow_id: str
    checkpoints: int
    """Length of the chain, retired ones included."""
    repairs: list[Repair] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(one.appended or one.replaced or one.removed or one.kept_at for one in self.repairs)

    def as_json(self) -> dict[str, Any]:
        """The form of `starter.py rebuild-mirror --json`."""
        return {
            "workflow_id": self.workflow_id,
            "checkpoints": self.checkpoints,
            "changed": self.changed,
            "repairs": [asdict(one) for one in self.repairs],
        }


async def rebuild_mirror(client: Client, stores: Stores, workflow_id: str, say: Say = lambda _: None) -> Rebuilt:
    """Make every store hold the right chain; doing it again changes nothing. A run in progress is not disturbed.

    Raises:
        UnknownWorkflow: nobody has heard of it.
        RefusedCommand: it cannot be decided what is right, or nobody has it any more; nothing was changed.
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
            for store, file in zip(file_stores(stores), evidence.files, strict=True):
                say(f"writing {file.name}")
                rebuilt.repairs.append(await _rebuild_file(store, evidence, file, chain))
        except CheckpointGap:
            if attempt == ATTEMPTS:
                raise
        else:
            return rebuilt
    raise AssertionError("the last attempt returns or raises")  # pragma: no cover


def _refuse_if_undecided(evidence: Evidence, chain: Chain) -> None:
    if chain.contradicted:
        places = _named(sorted(chain.contradicted))
        who = "what the stores agree on is not what history says" if evidence.history.runs else "history is gone"
        raise RefusedCommand(
            f"It cannot be decided what is right: intact copies contradict each other at {places}, and {who}. Nothing "
            "was changed."
        )
    retired = max(evidence.retired, min(chain.contents, default=1) - 1)
    if lost := [place for place in range(retired + 1, chain.tip + 1) if place not in chain.contents]:
        raise RefusedCommand(
            f"Nobody has an intact copy of {_named(lost)} any more, so the mirror cannot be made whole. Nothing was "
            "changed."
        )


def _named(places: Sequence[int]) -> str:
    names = [str(first) if first == last else f"{first} to {last}" for first, last in ranges(places)]
    return f"checkpoint {names[0]}" if len(places) == 1 else f"the checkpoints {', '.join(names)}"


async def _rebuild_rows(stores: Stores, evidence: Evidence, chain: Chain) -> Repair:
    repair = Repair("Postgres")
    wanted = _wanted(chain, evidence.retired)
    kept, wrong = _agreeing(evidence.rows, wanted)
    missing = wanted[kept:]
    if not wrong:
        # Only the end is missing, or what the run has written meanwhile: an append like any other.
        repair.appended = await stores.checkpoints[0].restore(missing)
        return repair
    first = min(place for place in [*[one.sequence for one in missing], *wrong] if place)
    there = {one.sequence for one in evidence.rows}
    repair.replaced = sum(one.sequence in there for one in missing)
    repair.appended = len(missing) - repair.replaced
    repair.removed = len(wrong) - repair.replaced if len(wrong) > repair.replaced else 0
    last_seen = max(one.sequence or 0 for one in evidence.rows)
    await rebuild_chain(stores.pool, evidence.workflow_id, first, missing, last_seen=last_seen)
    return repair


async def _rebuild_file(
    store: PersistentCheckpointStore, evidence: Evidence, file: FileEvidence, chain: Chain
) -> Repair:
    repair, entries = Repair(file.name), file.entries
    begins = min((one.sequence for one in entries if one.sequence), default=1) - 1
    wanted = _wanted(chain, min(begins, evidence.retired))
    kept, wrong = _agreeing(entries, wanted)
    missing = wanted[kept:]
    if not wrong and not file.damage:
        repair.appended = await store.restore(missing)
        return repair
    there = {one.sequence for one in entries}
    repair.replaced = sum(one.sequence in there for one in missing)
    repair.appended = len(missing) - repair.replaced
    repair.removed = max(0, len(wrong) - repair.replaced)
    at = await store.replace(evidence.workflow_id, wanted, file.elements)
    repair.kept_at = at.name if at else None
    return repair


def _wanted(chain: Chain, retired: int) -> list[WorkflowCheckpoint]:
    return [chain.contents[place] for place in sorted(chain.contents) if place > retired]


def _agreeing(entries: Sequence[Entry], wanted: Sequence[WorkflowCheckpoint]) -> tuple[int, list[int | None]]:
    """How many of the first entries are as they should be, and the sequences of those behind them."""
    kept = 0
    for entry, right in zip(entries, wanted, strict=False):
        if entry.intact is None or entry.intact.digest != right.digest:
            break
        kept += 1
    return kept, [entry.sequence for entry in entries[kept:]]
