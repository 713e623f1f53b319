"""The independent check of a finished run: history, mirror, files and outputs against each other and the promises.

It reads what the product stored, and recomputes by itself what can be.
"""

import itertools
import json
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecutionStatus

from orchestration.client.orchestrator import PipelineOrchestrator
from perdure.checkpoint import WorkflowCheckpoint, checkpoint_id, compute_digest
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.chaos.outputs import document_rows, outputs

ENDS = {"processed", "quarantined", "cancelled"}


@dataclass
class Finished:
    """What a check found, for those who want to know more."""

    checkpoints: list[WorkflowCheckpoint]
    outputs: dict[str, tuple[int, str]]


async def committed(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[int, datetime]:
    """Position to time of commit of everything that has a result now."""
    found = await document_rows(orchestrator.stores.pool, workflow_id)
    return {document.position: document.committed_at for document in found if document.committed_at}


async def check(
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    *,
    expected: dict[str, tuple[int, str]] | None = None,
    status: str = "completed",
    before: dict[int, datetime] | None = None,
) -> Finished:
    """Assert P1 to P4 and P9 of an ended run.

    Args:
        orchestrator: open, on the run's servers.
        workflow_id: which run.
        expected: outputs of an uninterrupted run over the same documents.
        status: how it must have ended.
        before: what had been committed when it was killed: that must not have been committed again.
    """
    report = await orchestrator.status(workflow_id)
    assert report.workflow_status == status
    documents = await document_rows(orchestrator.stores.pool, workflow_id)
    assert documents, "a check of nothing proves nothing"
    assert {document.status for document in documents} <= ENDS
    assert [document.position for document in documents] == list(range(len(documents)))
    assert all(document.results == (document.status == "processed") for document in documents)
    for position, time in (before or {}).items():
        assert documents[position].committed_at == time, f"document {position} was committed again"
    processed = sum(document.status == "processed" for document in documents)

    chain = list(await orchestrator.stores.checkpoints[0].list(workflow_id))
    check_chain(workflow_id, chain)
    last = chain[-1]
    assert (last.workflow_status, last.processed_documents) == (status, processed)
    assert last.state_data.documents_total == len(documents)
    await _check_file(orchestrator, workflow_id, chain)
    await _check_history(orchestrator.client, workflow_id, chain)

    found = await outputs(orchestrator.stores.pool, workflow_id)
    if expected is not None:
        assert found == expected
    return Finished(chain, found)


def check_chain(workflow_id: str, chain: list[WorkflowCheckpoint], *, set_back: bool = False) -> None:
    """P3: no gap, deterministic ids, and digests that follow from what is stored.

    Where a store was `set_back`, a new epoch may begin with fewer documents than the one before it ended with.
    """
    assert [one.sequence for one in chain] == list(range(1, len(chain) + 1))
    assert [one.checkpoint_id for one in chain] == [checkpoint_id(workflow_id, one.sequence) for one in chain]
    assert all(compute_digest(one) == one.digest for one in chain)
    assert [one.previous_digest for one in chain] == ["", *[one.digest for one in chain[:-1]]]
    assert all(a.epoch <= b.epoch for a, b in itertools.pairwise(chain))
    for a, b in itertools.pairwise(chain):
        assert a.processed_documents <= b.processed_documents or (set_back and a.epoch < b.epoch)


async def _check_file(orchestrator: PipelineOrchestrator, workflow_id: str, chain: list[WorkflowCheckpoint]) -> None:
    """The JSON file, read without our code, holds the same."""
    assert orchestrator.settings.checkpoint_dir
    path = PersistentCheckpointStore(orchestrator.settings.checkpoint_dir).path_of(workflow_id)
    assert json.loads(path.read_text()) == [one.model_dump(mode="json") for one in chain]


async def _check_history(client: Client, workflow_id: str, chain: list[WorkflowCheckpoint]) -> None:
    """P4: what every run of this id sent to the mirror, in order, is what the mirror holds."""
    sent: list[WorkflowCheckpoint] = []
    run_ids = list(dict.fromkeys(str(one.metadata["run_id"]) for one in chain))
    for run_id in run_ids:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        assert (await handle.describe()).status != WorkflowExecutionStatus.RUNNING
        async for event in handle.fetch_history_events():
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == "mirror_checkpoint":
                (checkpoint,) = await client.data_converter.decode(scheduled.input.payloads, [WorkflowCheckpoint])
                if checkpoint not in sent:  # scheduled once more, without limit, when the quick tries failed
                    sent.append(checkpoint)
    assert sent == chain
