"""`verify`: history, mirror, files, documents and outputs of a run compared with each other."""

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
UNRECORDED = "unrecorded_end"


async def verify(client: Client, stores: Stores, workflow_id: str, say: Say = lambda _: None) -> Verification:
    """Compare everything that is known of a run; differences of a run in progress are looked at twice.

    Args:
        client: any.
        stores: open.
        workflow_id: whose.
        say: told what is being done, a few words at a time.

    Raises:
        UnknownWorkflow: nobody has heard of it.
        RPCError: Temporal cannot be asked.
        DependencyUnavailable: a store cannot be read.
    """
    evidence, _, found = await look(client, stores, workflow_id, say)
    if [one.kind for one in found.differences] == [UNRECORDED]:
        # All else is in order, so nothing that an audit is after gets lost by recording what is only late.
        await reconcile_run(client, stores, workflow_id)
        return (await look(client, stores, workflow_id, say))[2]
    if found.differences and not evidence.closed and evidence.history.runs:
        await asyncio.sleep(AGAIN_SECONDS)
        _, _, again = await look(client, stores, workflow_id, say)
        lasting = {(one.kind, one.subject) for one in found.differences}
        again.differences = [one for one in again.differences if (one.kind, one.subject) in lasting]
        return again
    return found


async def look(
    client: Client, stores: Stores, workflow_id: str, say: Say, *, documents: bool = True
) -> tuple[Evidence, Chain, Verification]:
    """Read everything once and judge it; without `documents`, only checkpoints."""
    evidence = await gather(client, stores, workflow_id, say, documents=documents)
    if not evidence.known:
        raise UnknownWorkflow(
            f"No run with the workflow id '{workflow_id}' is known to Temporal, Postgres or the files."
        )
    chain = expected_chain(
        evidence.history, [evidence.rows, *[one.entries for one in evidence.files]], _ending(evidence)
    )
    return evidence, chain, judge(evidence, chain, documents=documents)


def _ending(evidence: Evidence) -> Callable[[WorkflowCheckpoint], bool]:
    """Whether a checkpoint of the reconciler agrees with what Temporal says of its run."""
    runs = {run.run_id: run for run in evidence.history.runs}

    def is_ending(one: WorkflowCheckpoint) -> bool:
        run = runs.get(str(one.metadata.get("run_id")))
        if one.metadata.get("recorded_by") != RECONCILER or run is None:
            return False
        return one.workflow_status == ending_of(run.status) and one.timestamp == run.closed_at

    return is_ending


def judge(evidence: Evidence, chain: Chain, *, documents: bool = True) -> Verification:
    """The differences between all that was read."""
    found = Verification(evidence.workflow_id)
    required, settled = _required(evidence, chain), evidence.closed or not evidence.history.runs
    retired = evidence.retired or _begun_later(evidence, chain)
    # Files are written after Postgres, and were read before it.
    leading = max([required, *[_highest(file.entries, chain) for file in evidence.files]])
    found.differences += compare(evidence.workflow_id, Holding("Postgres", evidence.rows, leading, retired), chain)
    for file in evidence.files:
        if file.damage:
            found.differences.append(
                Difference("damaged_file", file.name, f"{file.name[0].upper()}{file.name[1:]} {file.damage}.")
            )
        # A file may lag behind Postgres while its run goes on, and never afterwards.
        up_to = max(required, _highest(evidence.rows, chain)) if settled else required
        begins = min((one.sequence for one in file.entries if one.sequence), default=1) - 1
        found.differences += compare(
            evidence.workflow_id, Holding(file.name, file.entries, up_to, min(begins, retired)), chain
        )
    if documents:
        found.differences += compare_documents(evidence)
    if (late := _unrecorded(evidence)) and not found.differences:
        found.differences.append(late)
    _take_notes(found, evidence, chain, retired)
    found.counts = {
        "runs": len(evidence.history.runs),
        "history_checkpoints": len(evidence.history.checkpoints),
        "mirror_checkpoints": len(evidence.rows),
        "file_checkpoints": sum(len(one.entries) for one in evidence.files),
        "documents": evidence.totals.total if evidence.totals else 0,
        "processed_documents": evidence.totals.processed if evidence.totals else 0,
        **evidence.outputs,
    }
    return found


def _required(evidence: Evidence, chain: Chain) -> int:
    """Up to which sequence every store must be: what had been acknowledged before the stores were read."""
    if not evidence.history.runs:
        return chain.tip
    tip = history_tip(evidence.before)
    return min(tip.sequence, chain.tip) if tip else 0


def _highest(entries: Iterable[Entry], chain: Chain) -> int:
    intact = (one.intact for one in entries)
    return max((one.sequence for one in intact if one and chain.digests.get(one.sequence) == one.digest), default=0)


def _begun_later(evidence: Evidence, chain: Chain) -> int:
    """How many of the first checkpoints nobody has any more, if a second witness confirms what is left."""
    first = min(chain.contents, default=1)
    rows = min((one.sequence for one in evidence.rows if one.sequence), default=0)
    witnesses = [one for one in evidence.files if one.entries] or evidence.history.runs
    return first - 1 if rows == first and witnesses else 0


def _unrecorded(evidence: Evidence) -> Difference | None:
    """The run has ended in Temporal without a word, and the mirror does not say so."""
    run = evidence.history.runs[-1] if evidence.history.runs else None
    ended = ending_of(run.status) if run and evidence.closed else None
    latest = evidence.latest
    if run is None or ended is None or is_settled(evidence):
        return None
    if latest and latest.workflow_status == ended and latest.metadata.get("run_id") == run.run_id:
        return None
    says = latest.workflow_status if latest else "nothing"
    return Difference(
        UNRECORDED,
        f"run {run.run_id}",
        f"Temporal says that the run ended {ended} at {run.closed_at:%Y-%m-%d %H:%M:%S} UTC; the mirror says {says}.",
    )


def _take_notes(found: Verification, evidence: Evidence, chain: Chain, retired: int) -> None:
    if retired:
        by = "retention has deleted them" if evidence.retired else "nobody has them any more"
        found.notes.append(f"The checkpoints 1 to {retired} are not in the mirror: {by}.")
    recorded = {one.sequence for one in evidence.history.checkpoints}
    only_stored = [one for one in chain.contents if one not in recorded]
    if evidence.history.runs and only_stored:
        found.notes.append(
            f"Temporal has forgotten {len(only_stored)} of {chain.tip} checkpoints, or never had them; the digest of "
            "the next one vouches for each."
            if chain.vouched_from <= min(only_stored)
            else f"Temporal has forgotten {len(only_stored)} of {chain.tip} checkpoints; they were checked against "
            "each other."
        )
    if not evidence.history.runs:
        found.notes.append("Temporal does not know the run: the stores were checked against each other only.")
    if evidence.disabled_guards:
        found.notes.append(
            "The table of checkpoints is not protected any more: somebody has disabled the triggers "
            f"{', '.join(evidence.disabled_guards)}."
        )
    if not evidence.closed and evidence.history.runs and not evidence.idle:
        found.notes.append("The run is in progress: what it is doing just now was left out.")
