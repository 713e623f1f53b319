"""Runs with one checkpoint for each document, however busy the machine is.

Documents that finish while a checkpoint is written share the next checkpoint. So a run over a folder has any number of
checkpoints, and a test that needs a certain number adds each document after the checkpoint of the document before it.
"""

from collections.abc import Iterable
from pathlib import Path

from orchestration.client.orchestrator import PipelineOrchestrator
from workflows.messages import PipelineOptions


async def begin_stepwise(orchestrator: PipelineOrchestrator, workflow_id: str, documents: Iterable[Path]) -> None:
    """Start an open run, and process the documents one after the other; a worker must be alive.

    The run has one checkpoint for each document, and stays open.
    """
    await orchestrator.start([], workflow_id=workflow_id, options=PipelineOptions(open=True))
    for document in documents:
        await orchestrator.process_document(workflow_id, str(document))


async def run_stepwise(orchestrator: PipelineOrchestrator, workflow_id: str, documents: Iterable[Path]) -> None:
    """Do what `begin_stepwise` does, then close the run and wait for its end.

    The end of the run adds one more checkpoint.
    """
    await begin_stepwise(orchestrator, workflow_id, documents)
    await orchestrator.close_intake(workflow_id)
    await orchestrator.wait(workflow_id)
