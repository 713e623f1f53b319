"""The chain of checkpoints as it must be: what history knows, and what is vouched for by the digests that history has.

Each checkpoint names the digest of the one before it. So the newest one that history knows, or the one that its latest
run says it goes on from, vouches for all before it, also where Temporal has forgotten the runs that took them: of a
checkpoint that only a store still has, the digest tells whether it is the very one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orchestration.audit.entries import Entry
from orchestration.client.history import Link, WorkflowHistory, age
from perdure.checkpoint import WorkflowCheckpoint


@dataclass
class Chain:
    """What every store should hold; `tip` is the last sequence, 0 if there is no checkpoint at all."""

    tip: int = 0
    digests: dict[int, str] = field(default_factory=dict)
    """By sequence, as far as they are known."""
    contents: dict[int, WorkflowCheckpoint] = field(default_factory=dict)
    """By sequence, as far as anybody still has them."""
    vouched_from: int = 1
    """From this sequence on, digests hang together up to the tip; below, an intact copy has been taken as it is."""
    contradicted: set[int] = field(default_factory=set)
    """Sequences at which two stores hold different intact checkpoints and nobody can say which is right."""

    def add(self, one: WorkflowCheckpoint) -> None:
        self.digests[one.sequence] = one.digest
        self.contents[one.sequence] = one
        self.tip = max(self.tip, one.sequence)


def expected_chain(
    history: WorkflowHistory,
    stores: Sequence[Iterable[Entry]],
    is_ending: Callable[[WorkflowCheckpoint], bool],
) -> Chain:
    """Put together from history and from the intact copies in the stores.

    Args:
        history: may be empty.
        stores: their entries; the leading one first, whose word counts where nobody vouches.
        is_ending: whether a checkpoint that is in no history rightly records how a run ended.
    """
    intact = [[one.intact for one in entries if one.intact] for entries in stores]
    taken = history.taken
    known = {one.digest: one for copies in intact for one in copies} | taken
    chain = Chain()
    told = history_tip(history)
    top = told or _longest(intact)
    if top:
        _walk_back(chain, top, known, history, intact)
        # What was being written when its run ended may have reached a store or not; both are right.
        while following := [
            one
            for copies in intact
            for one in copies
            if one.sequence == chain.tip + 1
            and one.previous_digest == chain.digests[chain.tip]
            and (one.digest in taken or is_ending(one))
        ]:
            chain.add(following[0])
    chain.contradicted |= _contradictions(chain, intact, told=told is not None)
    return chain


def history_tip(history: WorkflowHistory) -> Link | None:
    """The newest place of the chain that history is sure of: acknowledged, or where a later run has joined it."""
    newest = history.newest_acknowledged
    tip = Link(newest.sequence, newest.digest) if newest else None
    seen: str | None = None
    for run in history.present:
        if newest and seen is None and newest.digest in run.acknowledged:
            seen = run.first_run_id
        elif run.joins and (newest is None or seen not in (None, run.first_run_id)):
            tip = run.joins  # a run that was reset or continued joins nothing new
    return tip


def _longest(stores: Sequence[Sequence[WorkflowCheckpoint]]) -> Link | None:
    """Without history: the end of the longest that a store holds."""
    newest = max((one for copies in stores for one in copies), key=lambda one: (one.sequence, age(one)), default=None)
    return Link(newest.sequence, newest.digest) if newest else None


def _walk_back(
    chain: Chain,
    top: Link,
    known: dict[str, WorkflowCheckpoint],
    history: WorkflowHistory,
    stores: Sequence[Sequence[WorkflowCheckpoint]],
) -> None:
    """From `top` to the first: by digest where the link is known, else by what is there at that place."""
    recorded = {one.sequence: one for one in history.checkpoints}
    stored: dict[int, WorkflowCheckpoint] = {}
    for one in (one for copies in stores for one in copies):
        stored.setdefault(one.sequence, one)
    chain.tip = chain.vouched_from = top.sequence
    digest, vouched = top.digest, True
    for sequence in range(top.sequence, 0, -1):
        found = known.get(digest) if digest else recorded.get(sequence) or stored.get(sequence)
        if found and found.sequence == sequence:
            chain.add(found)
        elif digest:
            chain.digests[sequence] = digest
        vouched = vouched and bool(digest)
        if vouched:
            chain.vouched_from = sequence
        digest = found.previous_digest if found else ""


def _contradictions(chain: Chain, stores: Sequence[Sequence[WorkflowCheckpoint]], *, told: bool) -> set[int]:
    """Where intact copies are not the chain: in two stores alike, or in one and there is no history to decide."""
    against = Counter(
        (one.sequence, one.digest)
        for copies in stores
        for one in copies
        if chain.digests.get(one.sequence) != one.digest
    )
    return {sequence for (sequence, _), stores_alike in against.items() if stores_alike > 1 or not told}
