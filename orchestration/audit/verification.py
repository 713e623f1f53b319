"""`verify`: compares the history, checkpoint stores, documents and outputs of a run."""

import asyncio
from collections.abc import Callable, Iterable

from temporalio.client import Client

from orchestration.audit.chain import Chain, expected_chain, history_tip
from orchestration.audit.documents import compare_documents, is_settled
from orchestration.audit.entries import Entry
from orchestration.audit.evidence import Evidence, Say, gather
from orchestration.audit.findings import Difference, Verification
from orchestration.audit.mirror import Holding, compare
from orchestration.client.reconcile import RECONCILER, ending_of, reconcile_run
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import UnknownWorkflow

AGAIN_SECONDS = 0.5
"""Seconds before the second check of a run in progress that seems to have a difference."""
UNRECORDED = "unrecorded_end"
"""Kind of difference: a run ended in Temporal, and no store records its end."""


async def verify(client: Client, stores: Stores, workflow_id: str, say: Say = lambda _: None) -> Verification:
    """Compare all data that Temporal and the stores have of a run.

    For a run in progress, the function returns only differences that it saw twice.

    Args:
        client: any client of the namespace.
        stores: the open stores.
        workflow_id: the run.
        say: called with a short description before each step.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        RPCError: Temporal cannot be asked.
        DependencyUnavailable: a store cannot be read.
    """
    evidence, _, verification = await look(client, stores, workflow_id, say)
    if [difference.kind for difference in verification.differences] == [UNRECORDED]:
        # Only the record of the end is missing, so the new record hides no other difference.
        await reconcile_run(client, stores, workflow_id)
        return (await look(client, stores, workflow_id, say))[2]
    if verification.differences and not evidence.closed and evidence.history.runs:
        await asyncio.sleep(AGAIN_SECONDS)
        _, _, again = await look(client, stores, workflow_id, say)
        seen = {(difference.kind, difference.subject) for difference in verification.differences}
        again.differences = [
            difference for difference in again.differences if (difference.kind, difference.subject) in seen
        ]
        return again
    return verification


async def look(
    client: Client, stores: Stores, workflow_id: str, say: Say, *, documents: bool = True
) -> tuple[Evidence, Chain, Verification]:
    """Read everything once and compare it.

    Args:
        client: any client of the namespace.
        stores: the open stores.
        workflow_id: the run.
        say: called with a short description before each step.
        documents: whether documents and outputs are compared too.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
    """
    evidence = await gather(client, stores, workflow_id, say, documents=documents)
    if not evidence.known:
        raise UnknownWorkflow(
            f"No run with the workflow id '{workflow_id}' is known to Temporal or to a checkpoint store."
        )
    entries = [evidence.rows, *[follower.entries for follower in evidence.followers]]
    chain = expected_chain(evidence.history, entries, _make_ending_check(evidence))
    return evidence, chain, judge(evidence, chain, documents=documents)


def _make_ending_check(evidence: Evidence) -> Callable[[WorkflowCheckpoint], bool]:
    """Return a check of the reconciler's checkpoints against Temporal's record of their runs."""
    runs = {run.run_id: run for run in evidence.history.runs}

    def is_ending(checkpoint: WorkflowCheckpoint) -> bool:
        run = runs.get(str(checkpoint.metadata.get("run_id")))
        if checkpoint.metadata.get("recorded_by") != RECONCILER or run is None:
            return False
        return checkpoint.workflow_status == ending_of(run.status) and checkpoint.timestamp == run.closed_at

    return is_ending


def judge(evidence: Evidence, chain: Chain, *, documents: bool = True) -> Verification:
    """Return the differences in the evidence."""
    verification = Verification(evidence.workflow_id)
    retired = evidence.retired or _count_lost_beginning(evidence, chain)
    verification.differences += _compare_stores(evidence, chain, retired)
    if documents:
        verification.differences += compare_documents(evidence)
    if (unrecorded := _find_unrecorded(evidence)) and not verification.differences:
        verification.differences.append(unrecorded)
    _take_notes(verification, evidence, chain, retired)
    verification.counts = {
        "runs": len(evidence.history.runs),
        "history_checkpoints": len(evidence.history.checkpoints),
        "mirror_checkpoints": len(evidence.rows),
        "file_checkpoints": 0,
        **{follower.store.count_name: len(follower.entries) for follower in evidence.followers},
        "documents": evidence.totals.total if evidence.totals else 0,
        "processed_documents": evidence.totals.processed if evidence.totals else 0,
        **evidence.outputs,
    }
    return verification


def _compare_stores(evidence: Evidence, chain: Chain, retired: int) -> list[Difference]:
    required = _find_required(evidence, chain)
    # A follower is written after Postgres, and was read before it: Postgres must hold what a follower holds.
    leading = max([required, *[_find_highest(follower.entries, chain) for follower in evidence.followers]])
    differences = compare(evidence.workflow_id, Holding("Postgres", evidence.rows, leading, retired), chain)
    for follower in evidence.followers:
        name = follower.name
        if follower.damage:
            sentence = f"{name[0].upper()}{name[1:]} {follower.damage}."
            differences.append(Difference("damaged_file", name, sentence))
        # A follower may lag behind Postgres while its run is in progress, but not after the end of the run.
        up_to = max(required, _find_highest(evidence.rows, chain)) if evidence.closed else required
        first = min((entry.sequence for entry in follower.entries if entry.sequence), default=1)
        holding = Holding(name, follower.entries, up_to, min(first - 1, retired))
        differences += compare(evidence.workflow_id, holding, chain)
    return differences


def _find_required(evidence: Evidence, chain: Chain) -> int:
    """Return the last sequence acknowledged before the stores were read.

    Every store must have this checkpoint.
    """
    if not evidence.history.runs:
        return chain.tip
    tip = history_tip(evidence.before)
    return min(tip.sequence, chain.tip) if tip else 0


def _find_highest(entries: Iterable[Entry], chain: Chain) -> int:
    intact = [entry.intact for entry in entries if entry.intact]
    return max((copy.sequence for copy in intact if chain.digests.get(copy.sequence) == copy.digest), default=0)


def _count_lost_beginning(evidence: Evidence, chain: Chain) -> int:
    """Return the number of checkpoints that are missing at the beginning of every store.

    A second source must agree with Postgres on this number.
    """
    first = min(chain.contents, default=1)
    first_row = min((entry.sequence for entry in evidence.rows if entry.sequence), default=0)
    second_source = any(follower.entries for follower in evidence.followers) or bool(evidence.history.runs)
    return first - 1 if first_row == first and second_source else 0


def _find_unrecorded(evidence: Evidence) -> Difference | None:
    """Return the difference of a run whose end the mirror lacks; None if the mirror has it."""
    run = evidence.history.runs[-1] if evidence.history.runs else None
    ended = ending_of(run.status) if run and evidence.closed else None
    latest = evidence.latest
    if run is None or ended is None or is_settled(evidence):
        return None
    if latest and latest.workflow_status == ended and latest.metadata.get("run_id") == run.run_id:
        return None
    recorded = latest.workflow_status if latest else "nothing"
    return Difference(
        UNRECORDED,
        f"run {run.run_id}",
        f"Temporal says that the run ended {ended} at {run.closed_at:%Y-%m-%d %H:%M:%S} UTC; the mirror says "
        f"{recorded}.",
    )


def _take_notes(verification: Verification, evidence: Evidence, chain: Chain, retired: int) -> None:
    notes = verification.notes
    if retired:
        why = "they were pruned" if evidence.retired else "no store has them any more"
        notes.append(f"The checkpoints 1 to {retired} are not in the mirror: {why}.")
    recorded = {checkpoint.sequence for checkpoint in evidence.history.checkpoints}
    only_stored = [sequence for sequence in chain.contents if sequence not in recorded]
    if evidence.history.runs and only_stored:
        notes.append(
            f"Temporal has forgotten {len(only_stored)} of {chain.tip} checkpoints, or never had them; the digest in "
            "the next checkpoint confirms each of them."
            if chain.confirmed_from <= min(only_stored)
            else f"Temporal has forgotten {len(only_stored)} of {chain.tip} checkpoints; they were checked against "
            "each other."
        )
    if not evidence.history.runs:
        notes.append("Temporal does not know the run: the stores were checked against each other only.")
    if evidence.disabled_guards:
        notes.append(
            "The table of checkpoints is not protected: these triggers are disabled: "
            f"{', '.join(evidence.disabled_guards)}."
        )
    if not evidence.closed and evidence.history.runs and not evidence.idle:
        notes.append("The run is in progress: its current work was left out.")
