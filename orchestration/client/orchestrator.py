"""`PipelineOrchestrator`: Perdure from Python. The scripts themselves use it.

async with PipelineOrchestrator() as orchestrator:
    run = await orchestrator.start([], options=PipelineOptions(open=True))
    await orchestrator.process_document(run.workflow_id, "contract.pdf")
    checkpoint = await orchestrator.get_latest_checkpoint(run.workflow_id)
    result = await orchestrator.resume_workflow_from_checkpoint(run.workflow_id)
    assert result.status == "completed"
"""

from collections.abc import Callable

from orchestration.client.resume import resume
from orchestration.client.run_client import RunClient
from orchestration.client.run_status import RunReport


class PipelineOrchestrator(RunClient):
    """Everything a run needs from outside, its resumption included."""

    async def resume_workflow_from_checkpoint(
        self,
        workflow_id: str,
        checkpoint_id: str | None = None,
        *,
        keep_open: bool = False,
        say: Callable[[str], None] = lambda _: None,
        on_report: Callable[[RunReport], None] = lambda _: None,
    ) -> RunReport:
        """Bring a run to its end from its latest checkpoint, whatever has become of it.

        Args:
            workflow_id: which run.
            checkpoint_id: of this run; if it is not the latest, the run is forked from there, and the fork followed.
            keep_open: leave an open run open, and follow it for as long as it is; otherwise it is closed.
            say: told what happens, one sentence at a time.
            on_report: told how the run stands while it is followed.

        Raises:
            UnknownWorkflow: neither Temporal nor a store has heard of it.
            UnknownCheckpoint: `checkpoint_id` is not a checkpoint of this run.
            RefusedCommand: a fork cannot be made of it.
        """
        return await resume(
            self, workflow_id, checkpoint_id=checkpoint_id, keep_open=keep_open, say=say, on_report=on_report
        )
