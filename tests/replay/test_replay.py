"""Every recorded history replays with the present workflow, inside the sandbox and with the real data converter."""

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.document_pipeline import DocumentPipeline
from workflows.messages import WORKFLOW_TYPE, PipelineInput, Progress

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*/*.json"))
SCENARIOS = {
    "happy",
    "quarantine",
    "failure",
    "paused",
    "open-run",
    "cancelled",
    "crash",
    "outage",
    "batches",
    "continued-1",
    "killed-often",
    "set-back",
    "forked",
    "terminated-1",
    "terminated-2",
    "breaker",
}
PASSED_THROUGH = ("activities", "perdure", "pydantic", "numpy")


def replayer(*workflows: type) -> Replayer:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return Replayer(
        workflows=workflows,
        data_converter=pydantic_data_converter,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    )


def history_of(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer(DocumentPipeline).replay_workflow(history_of(path))


def test_no_recorded_history_has_gone() -> None:
    assert {path.stem for path in HISTORIES} >= SCENARIOS


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class WaitsFirst:
    """What an ungated change would be: a timer before everything else."""

    @workflow.run
    async def run(self, pipeline: PipelineInput) -> Progress:
        await workflow.sleep(timedelta(seconds=1))
        raise AssertionError(pipeline)


async def test_a_change_that_alters_commands_is_noticed() -> None:
    happy = next(path for path in HISTORIES if path.stem == "happy")
    with pytest.raises(workflow.NondeterminismError):
        await replayer(WaitsFirst).replay_workflow(history_of(happy))
