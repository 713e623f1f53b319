"""K12: a killed resume changes nothing, and concurrent resumes start a single run."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.checker import committed
from tests.chaos.gate import Gate
from tests.chaos.outputs import outputs
from tests.chaos.workers import ROOT, ChaosWorker
from tests.integration.shared_run import environment_of, script
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

Outputs = dict[str, tuple[int, str]]


@pytest.fixture
def gate(settings: Settings) -> Iterator[Gate]:
    """The closed gate of a started worker."""
    gate = Gate(settings.data_dir)
    gate.close()
    worker = ChaosWorker.gated(settings)
    yield gate
    gate.open()
    worker.close()


async def start_and_terminate(
    orchestrator: PipelineOrchestrator, workflow_id: str, documents: Path, options: PipelineOptions, gate: Gate
) -> None:
    """Start a run, terminate it when 3 documents are committed, and open the gate."""
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
    gate.admit(3)
    async with asyncio.timeout(90):
        while len(await committed(orchestrator, workflow_id)) < 3:
            await asyncio.sleep(0.05)
    await orchestrator.client.get_workflow_handle(workflow_id).terminate("in the middle")
    gate.open()


async def assert_complete(
    orchestrator: PipelineOrchestrator, workflow_id: str, undisturbed: Outputs, before: dict[int, datetime]
) -> None:
    """Assert that the run has the undisturbed outputs and still has the commits in `before`."""
    assert await outputs(orchestrator.stores.pool, workflow_id) == undisturbed
    after = await committed(orchestrator, workflow_id)
    assert {position: after[position] for position in before} == before, "a document was processed twice"
    assert (await verify(orchestrator.client, orchestrator.stores, workflow_id)).differences == []


async def test_resume_killed_before_its_start_can_be_repeated(
    documents: Path,
    undisturbed: Outputs,
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    gate: Gate,
    two_at_a_time: PipelineOptions,
) -> None:
    await start_and_terminate(orchestrator, workflow_id, documents, two_at_a_time, gate)
    before = await committed(orchestrator, workflow_id)
    for _ in range(2):
        armed = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(ROOT / "tests" / "chaos" / "armed_resume.py"), "--workflow-id", workflow_id],
            env=environment_of(settings),
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert armed.returncode == -signal.SIGKILL, armed.stderr
        assert not (await orchestrator.status(workflow_id)).running
    done = await script(settings, "--workflow-id", workflow_id, name="resume_workflow.py")
    assert done.code == 0, done.stderr
    await assert_complete(orchestrator, workflow_id, undisturbed, before)


async def test_concurrent_resumes_start_one_run_and_all_follow_it(
    documents: Path,
    undisturbed: Outputs,
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    gate: Gate,
    two_at_a_time: PipelineOptions,
) -> None:
    await start_and_terminate(orchestrator, workflow_id, documents, two_at_a_time, gate)
    before = await committed(orchestrator, workflow_id)
    ended = await asyncio.gather(
        *[script(settings, "--workflow-id", workflow_id, "--json", name="resume_workflow.py") for _ in range(3)]
    )
    assert [resume.code for resume in ended] == [0, 0, 0], [resume.stderr for resume in ended]
    assert len({resume.json["run_id"] for resume in ended}) == 1
    await assert_complete(orchestrator, workflow_id, undisturbed, before)
