"""Every recorded history replays with the present workflow.

The replay uses the SDK's sandbox and the real data converter.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from perdure.checkpoint import WorkflowCheckpoint
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
    "breaker-1",
    "refreshed-2",
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
async def test_recorded_history_replays(path: Path) -> None:
    await replayer(DocumentPipeline).replay_workflow(history_of(path))


class Computed(Interceptor):
    """Records the checkpoints that a replay computes, in their order."""

    def __init__(self) -> None:
        self.checkpoints: list[WorkflowCheckpoint] = []

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002 - the SDK's
        computed = self.checkpoints

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's
                if input.activity == "mirror_checkpoint":
                    computed.append(input.args[0])
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_replay_computes_the_checkpoints_of_its_history(path: Path) -> None:
    """A later release may continue a run, so it must compute the digests that the stores hold."""
    history = history_of(path)
    computed = Computed()
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    recorded = [
        WorkflowCheckpoint.model_validate_json(scheduled_activity.input.payloads[0].data)
        for scheduled_activity in scheduled
        if scheduled_activity.activity_type.name == "mirror_checkpoint"
    ]
    plain = Replayer(
        workflows=[DocumentPipeline],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[computed],
    )
    workflow_id = recorded[0].workflow_id if recorded else path.stem
    await plain.replay_workflow(WorkflowHistory(workflow_id, history.events))
    assert [checkpoint.digest for checkpoint in computed.checkpoints] == [checkpoint.digest for checkpoint in recorded]


def test_no_recorded_history_was_removed() -> None:
    assert {path.stem for path in HISTORIES} >= SCENARIOS


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class WaitsFirst:
    """A workflow with an ungated change: a timer before its first activity."""

    @workflow.run
    async def run(self, pipeline: PipelineInput) -> Progress:
        await workflow.sleep(timedelta(seconds=1))
        raise AssertionError(pipeline)


async def test_ungated_change_of_commands_fails_the_replay() -> None:
    happy = next(path for path in HISTORIES if path.stem == "happy")
    with pytest.raises(workflow.NondeterminismError):
        await replayer(WaitsFirst).replay_workflow(history_of(happy))
