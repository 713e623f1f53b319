"""`Chain`: the checkpoints that every store should hold.

The chain is derived from history and from intact copies in the stores. Each checkpoint names the digest of the one
before it. So the newest checkpoint that history knows confirms every earlier one. The checkpoint that the latest run
continues confirms the earlier ones too. A digest also confirms the checkpoints of runs that Temporal has forgotten: the
digest shows whether the copy in a store is the checkpoint that the run took.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orchestration.audit.entries import Entry
from orchestration.client.history import WorkflowHistory, age
from perdure.checkpoint import Link, WorkflowCheckpoint, follows


@dataclass
class Chain:
    """The checkpoints that every store should hold.

    `tip` is the last sequence, or 0 without any checkpoint.
    """

    tip: int = 0
    digests: dict[int, str] = field(default_factory=dict)
    """The known digests by sequence."""
    contents: dict[int, WorkflowCheckpoint] = field(default_factory=dict)
    """The checkpoints by sequence of which history or a store has an intact copy."""
    confirmed_from: int = 1
    """From this sequence to the tip, each digest confirms the one before. No digest confirms earlier copies."""
    contradicted: set[int] = field(default_factory=set)
    """Sequences at which stores hold different intact checkpoints, and no digest decides which one is right."""

    def add(self, checkpoint: WorkflowCheckpoint) -> None:
        """Add a checkpoint at its sequence."""
        self.digests[checkpoint.sequence] = checkpoint.digest
        self.contents[checkpoint.sequence] = checkpoint
        self.tip = max(self.tip, checkpoint.sequence)

    @property
    def end(self) -> Link:
        """Return the last link of the chain, which the next checkpoint has to follow."""
        return Link(self.tip, self.digests[self.tip])


def expected_chain(
    history: WorkflowHistory,
    stores: Sequence[Iterable[Entry]],
    is_ending: Callable[[WorkflowCheckpoint], bool],
) -> Chain:
    """Return the right chain, derived from history and from the intact copies in the stores.

    Args:
        history: history of all runs of the workflow id; may be empty.
        stores: the entries of each store, the leader first. Where no digest decides, the leader's copy counts.
        is_ending: returns whether a checkpoint that is in no history correctly records how a run ended.
    """
    intact = [[entry.intact for entry in entries if entry.intact] for entries in stores]
    taken = history.taken
    known = {checkpoint.digest: checkpoint for copies in intact for checkpoint in copies} | taken
    chain = Chain()
    confirmed = history_tip(history)
    top = confirmed or _find_longest(intact)
    if top:
        _walk_back(chain, top, known, history, intact)
        # A checkpoint that was being written when its run ended may or may not be in a store; both are right.
        while following := [
            checkpoint
            for copies in intact
            for checkpoint in copies
            if follows(checkpoint, chain.end) and (checkpoint.digest in taken or is_ending(checkpoint))
        ]:
            chain.add(following[0])
    chain.contradicted |= _find_contradictions(chain, intact, has_history=confirmed is not None)
    return chain


def history_tip(history: WorkflowHistory) -> Link | None:
    """Return the newest link of the chain that history confirms.

    History confirms a link that is acknowledged, or that a later run continued.
    """
    newest = history.newest_acknowledged
    tip = Link(newest.sequence, newest.digest) if newest else None
    acknowledged_by: str | None = None
    for run in history.present:
        if newest and acknowledged_by is None and newest.digest in run.acknowledged:
            acknowledged_by = run.first_run_id
        elif run.joins and (newest is None or acknowledged_by not in (None, run.first_run_id)):
            # Only another run counts: an execution that was reset or continued as new joins its own run's chain.
            tip = run.joins
    return tip


def _find_longest(stores: Sequence[Sequence[WorkflowCheckpoint]]) -> Link | None:
    """Return the end of the longest chain that a store holds."""
    newest = max(
        (checkpoint for copies in stores for checkpoint in copies),
        key=lambda checkpoint: (checkpoint.sequence, age(checkpoint)),
        default=None,
    )
    return Link(newest.sequence, newest.digest) if newest else None


def _walk_back(
    chain: Chain,
    top: Link,
    known: dict[str, WorkflowCheckpoint],
    history: WorkflowHistory,
    stores: Sequence[Sequence[WorkflowCheckpoint]],
) -> None:
    """Fill the chain from `top` down to the first sequence.

    Where the digest of a sequence is known, the function takes the copy with that digest, else the copy in a store.
    """
    recorded = {checkpoint.sequence: checkpoint for checkpoint in history.checkpoints}
    stored: dict[int, WorkflowCheckpoint] = {}
    for copies in stores:
        for checkpoint in copies:
            stored.setdefault(checkpoint.sequence, checkpoint)
    chain.tip = chain.confirmed_from = top.sequence
    digest = top.digest
    confirmed_by_digest = True
    for sequence in range(top.sequence, 0, -1):
        copy = known.get(digest) if digest else recorded.get(sequence) or stored.get(sequence)
        if copy and copy.sequence == sequence:
            chain.add(copy)
        elif digest:
            chain.digests[sequence] = digest
        confirmed_by_digest = confirmed_by_digest and bool(digest)
        if confirmed_by_digest:
            chain.confirmed_from = sequence
        digest = copy.previous_digest if copy else ""


def _find_contradictions(
    chain: Chain, stores: Sequence[Sequence[WorkflowCheckpoint]], *, has_history: bool
) -> set[int]:
    """Return the sequences at which intact copies differ from the chain, undecided by history.

    History decides against a copy in one store. It does not decide against equal copies in two stores.
    """
    against = Counter(
        (checkpoint.sequence, checkpoint.digest)
        for copies in stores
        for checkpoint in copies
        if chain.digests.get(checkpoint.sequence) != checkpoint.digest
    )
    return {sequence for (sequence, _), stores_alike in against.items() if stores_alike > 1 or not has_history}
