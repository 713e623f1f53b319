"""Compare the checkpoints that one store holds with the right chain."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.audit.chain import Chain
from orchestration.audit.entries import Entry, differing_fields
from orchestration.audit.findings import Difference, ranges
from perdure.checkpoint import checkpoint_id

_FIELDS_NAMED = 5


@dataclass(frozen=True)
class Holding:
    """The checkpoints that one store holds of a workflow id, in the order of the store."""

    store: str
    """Name of the store for messages, such as "Postgres" or "the file x.json"."""
    entries: Sequence[Entry]
    required: int
    """Up to this sequence every checkpoint must be there. A run in progress may be writing later checkpoints."""
    retired: int = 0
    """Up to this sequence, checkpoints were pruned."""


def compare(workflow_id: str, holding: Holding, chain: Chain) -> list[Difference]:
    """Return every difference between a store and the chain."""
    differences: list[Difference] = []
    present: set[int] = set()
    highest = 0
    for entry in holding.entries:
        if difference := _judge(holding.store, entry, chain, present, highest):
            differences.append(difference)
        if entry.sequence is not None:
            present.add(entry.sequence)
            highest = max(highest, entry.sequence)
    absent = [place for place in range(holding.retired + 1, holding.required + 1) if place not in present]
    return [*differences, *(_make_missing(workflow_id, holding.store, first, last) for first, last in ranges(absent))]


def _judge(store: str, entry: Entry, chain: Chain, present: set[int], highest: int) -> Difference | None:
    place = entry.sequence
    if entry.fault or entry.checkpoint is None or place is None:
        subject = f"checkpoint {place}" if place is not None else entry.name
        instead = ""
        if entry.checkpoint and place in chain.contents:
            instead = _describe_difference(entry, chain, place)
        return Difference(entry.kind, subject, f"In {store}, checkpoint {place} ({entry.name}) {entry.fault}{instead}.")
    which = f"checkpoint {place} ({entry.name})"
    if place in present:
        return Difference("duplicate_checkpoint", f"checkpoint {place}", f"In {store}, {which} stands twice.")
    if place < highest:
        return Difference(
            "misplaced_checkpoint", f"checkpoint {place}", f"In {store}, {which} stands after checkpoint {highest}."
        )
    wanted = chain.digests.get(place)
    if wanted is None:
        return Difference(
            "added_checkpoint",
            f"checkpoint {place}",
            f"In {store}, {which} was added: the run never took it. The chain ends with checkpoint {chain.tip}.",
        )
    if wanted != entry.checkpoint.digest:
        return Difference(
            "edited_checkpoint",
            f"checkpoint {place}",
            f"In {store}, {which} is not the one that the run took{_describe_difference(entry, chain, place)}.",
        )
    return None


def _describe_difference(entry: Entry, chain: Chain, place: int) -> str:
    right = chain.contents.get(place)
    if right is None or entry.checkpoint is None:
        return ""
    names = differing_fields(entry.checkpoint, right)
    more = f" and {len(names) - _FIELDS_NAMED} more" if len(names) > _FIELDS_NAMED else ""
    return f"; it differs in {', '.join(names[:_FIELDS_NAMED])}{more}" if names else ""


def _make_missing(workflow_id: str, store: str, first: int, last: int) -> Difference:
    if first == last:
        return Difference(
            "missing_checkpoint",
            f"checkpoint {first}",
            f"In {store}, checkpoint {first} ({checkpoint_id(workflow_id, first)}) is missing.",
        )
    return Difference(
        "missing_checkpoint",
        f"checkpoints {first} to {last}",
        f"In {store}, the checkpoints {first} to {last} are missing, {last - first + 1} of them.",
    )
