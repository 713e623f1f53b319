"""Runs that are open in Temporal and have no worker.

A test writes the checkpoints of such a run itself.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from orchestration.stores import open_stores
from perdure.checkpoint import WorkflowCheckpoint
from tests.conformance.chains import make_chain
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineInput, PipelineOptions, ResumePoint


async def open_run(
    orchestrator: PipelineOrchestrator, workflow_id: str, *, after: WorkflowCheckpoint | None = None
) -> None:
    """Start a run that no worker executes, whose chain continues after a checkpoint."""
    resume = None
    if after:
        resume = ResumePoint(
            checkpoint_id=after.checkpoint_id, sequence=after.sequence, digest=after.digest, epoch=after.epoch
        )
    await orchestrator.client.start_workflow(
        DocumentPipeline.run,
        PipelineInput(sources=[], options=PipelineOptions(open=True, search_attributes=False), resume=resume),
        id=workflow_id,
        task_queue=orchestrator.settings.task_queue,
    )


async def terminate(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    """Terminate the latest execution of a run."""
    await orchestrator.client.get_workflow_handle(workflow_id).terminate("by a test")


async def store_chain(orchestrator: PipelineOrchestrator, workflow_id: str, length: int) -> list[WorkflowCheckpoint]:
    """Write a chain into every store and return it."""
    chain = make_chain(workflow_id, length)
    for store in orchestrator.stores.checkpoints:
        await store.restore(chain)
    return chain


def write_now(settings: Settings, checkpoints: Sequence[WorkflowCheckpoint]) -> None:
    """Append checkpoints to every store before this function returns, like another process."""

    async def write() -> None:
        stores = open_stores(settings)
        try:
            for checkpoint in checkpoints:
                for store in stores.checkpoints:
                    await store.append(checkpoint)
        finally:
            await stores.close()

    run_elsewhere(write())


def run_elsewhere(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in another thread, and block the caller's event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()
