"""Every recorded history replays with the present workflow, inside the sandbox and with the real data converter."""

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
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer(DocumentPipeline).replay_workflow(history_of(path))


class Computed(Interceptor):
    """The checkpoints that a replay computes, in the order in which it hands them to the mirror."""

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
async def test_a_replay_computes_the_very_checkpoints_that_its_history_has(path: Path) -> None:
    """Else the next one would name a predecessor that no store has: a release is replaced in the middle of a run."""
    history, computed = history_of(path), Computed()
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    recorded = [
        WorkflowCheckpoint.model_validate_json(one.input.payloads[0].data)
        for one in scheduled
        if one.activity_type.name == "mirror_checkpoint"
    ]
    plain = Replayer(
        workflows=[DocumentPipeline],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[computed],
    )
    whose = recorded[0].workflow_id if recorded else path.stem
    await plain.replay_workflow(WorkflowHistory(whose, history.events))
    assert [one.digest for one in computed.checkpoints] == [one.digest for one in recorded]


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
