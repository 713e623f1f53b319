"""An independent check of an ended run: history, mirror, files and outputs.

The check reads the stored rows, files and events, and computes ids and digests again.
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

FINAL_STATUSES = {"processed", "quarantined", "cancelled"}


@dataclass
class Finished:
    """The checkpoints and outputs that a check read."""

    checkpoints: list[WorkflowCheckpoint]
    outputs: dict[str, tuple[int, str]]


async def committed(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[int, datetime]:
    """Return the time of commit of each committed document, by position."""
    documents = await document_rows(orchestrator.stores.pool, workflow_id)
    return {document.position: document.committed_at for document in documents if document.committed_at}


async def check(
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    *,
    expected: dict[str, tuple[int, str]] | None = None,
    status: str = "completed",
    before: dict[int, datetime] | None = None,
) -> Finished:
    """Assert promises P1 to P4 and P9 of an ended run, and return what the check read.

    Args:
        orchestrator: an open orchestrator on the run's servers.
        workflow_id: the run to check.
        expected: outputs of an undisturbed run over the same documents; None skips the comparison.
        status: the status with which the run must have ended.
        before: times of commit by position, read before a kill. A later commit of these documents is an error.

    Raises:
        AssertionError: a promise is broken.
    """
    report = await orchestrator.status(workflow_id)
    assert report.workflow_status == status
    documents = await document_rows(orchestrator.stores.pool, workflow_id)
    assert documents, "the run has no documents, so a check would prove nothing"
    assert {document.status for document in documents} <= FINAL_STATUSES
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

    stored = await outputs(orchestrator.stores.pool, workflow_id)
    if expected is not None:
        assert stored == expected
    return Finished(chain, stored)


def check_chain(workflow_id: str, chain: list[WorkflowCheckpoint], *, set_back: bool = False) -> None:
    """Assert P3: the chain has no gap, deterministic ids, and digests that match the content.

    Args:
        workflow_id: the run of the checkpoints.
        chain: all checkpoints, oldest first.
        set_back: whether a store was set back. A new epoch may then begin with fewer processed documents.
    """
    assert [checkpoint.sequence for checkpoint in chain] == list(range(1, len(chain) + 1))
    for checkpoint in chain:
        assert checkpoint.checkpoint_id == checkpoint_id(workflow_id, checkpoint.sequence)
        assert checkpoint.digest == compute_digest(checkpoint)
    assert chain[0].previous_digest == ""
    for former, latter in itertools.pairwise(chain):
        assert latter.previous_digest == former.digest
        assert former.epoch <= latter.epoch
        may_shrink = set_back and former.epoch < latter.epoch
        assert former.processed_documents <= latter.processed_documents or may_shrink


async def _check_file(orchestrator: PipelineOrchestrator, workflow_id: str, chain: list[WorkflowCheckpoint]) -> None:
    """Assert that the checkpoint file, parsed as plain JSON, holds the same chain."""
    assert orchestrator.settings.checkpoint_dir
    path = PersistentCheckpointStore(orchestrator.settings.checkpoint_dir).path_of(workflow_id)
    assert json.loads(path.read_text()) == [checkpoint.model_dump(mode="json") for checkpoint in chain]


async def _check_history(client: Client, workflow_id: str, chain: list[WorkflowCheckpoint]) -> None:
    """Assert P4: the mirror holds what all histories sent to it, in the same order."""
    sent: list[WorkflowCheckpoint] = []
    run_ids = list(dict.fromkeys(str(checkpoint.metadata["run_id"]) for checkpoint in chain))
    for run_id in run_ids:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        assert (await handle.describe()).status != WorkflowExecutionStatus.RUNNING
        async for event in handle.fetch_history_events():
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == "mirror_checkpoint":
                (checkpoint,) = await client.data_converter.decode(scheduled.input.payloads, [WorkflowCheckpoint])
                if checkpoint not in sent:  # the workflow schedules the activity again after the quick attempts failed
                    sent.append(checkpoint)
    assert sent == chain
