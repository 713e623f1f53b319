"""P1 to P4 and P9: a run killed at a fail-point ends like an undisturbed run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from tests.chaos.checker import check, committed
from tests.chaos.outputs import outputs
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

# `make test` runs K5 only. K5 is the hardest point: the commit exists, and Temporal does not know the commit.
POINTS = [
    pytest.param("discover", 1, id="discover: manifest written, completion not sent", marks=pytest.mark.slow),
    pytest.param("K1", 4, id="K1: activity started, nothing read", marks=pytest.mark.slow),
    pytest.param("K2", 4, id="K2: in the parser's child", marks=pytest.mark.slow),
    pytest.param("K3", 4, id="K3: outputs computed, transaction not begun", marks=pytest.mark.slow),
    pytest.param("K4", 4, id="K4: in the transaction, before COMMIT", marks=pytest.mark.slow),
    pytest.param("K5", 4, id="K5: after COMMIT, before the completion leaves"),
    pytest.param("K6", 3, id="K6: in the mirror's transaction, before COMMIT", marks=pytest.mark.slow),
    pytest.param("K7", 3, id="K7: mirrored, before the acknowledgement", marks=pytest.mark.slow),
    pytest.param("K8", 3, id="K8: in the middle of a JSON append", marks=pytest.mark.slow),
    pytest.param("K9", 2, id="K9: in a workflow task, between two commands", marks=pytest.mark.slow),
    pytest.param("identities", 1, id="finish: identities resolved, completion not sent", marks=pytest.mark.slow),
    pytest.param("close", 1, id="finish: run closed, completion not sent", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("point", "nth"), POINTS)
async def test_run_killed_at_fail_point_ends_as_undisturbed(
    point: str,
    nth: int,
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    armed = start_worker(point, nth)
    armed.wait_until_struck()
    armed.assert_no_orphans()
    before = await committed(orchestrator, workflow_id)
    assert (await orchestrator.status(workflow_id)).running

    start_worker()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed, before=before)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["K11", "K11-after"])
async def test_run_killed_in_quarantine_ends_as_undisturbed(
    point: str,
    tmp_path: Path,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
) -> None:
    """K11: the kill comes before COMMIT, or after COMMIT and before the activity completes."""
    papers = write_documents(tmp_path / "papers", 6)
    for number in (1, 4):
        (papers / f"0{number}-empty.txt").touch()
    await orchestrator.start([str(papers)], workflow_id=workflow_id, options=two_at_a_time)
    armed = start_worker(point, 2)
    armed.wait_until_struck()
    before = await committed(orchestrator, workflow_id)
    start_worker()
    await orchestrator.wait(workflow_id)
    undisturbed_id = f"{workflow_id}-undisturbed"
    await orchestrator.start([str(papers)], workflow_id=undisturbed_id)
    await orchestrator.wait(undisturbed_id)
    expected = await outputs(orchestrator.stores.pool, undisturbed_id)
    await check(orchestrator, workflow_id, status="completed_with_failures", expected=expected, before=before)
    assert [failure.attempts for failure in await orchestrator.stores.manifest.failures(workflow_id)] == [1, 1]


async def test_killed_child_costs_one_attempt_and_changes_no_output(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    """K2 with another victim: the child is killed, and its worker stays alive."""
    await orchestrator.start([str(documents)], workflow_id=workflow_id)
    worker = start_worker("K2-child", 3)
    await orchestrator.wait(workflow_id)
    assert worker.marker.exists()
    assert worker.process.poll() is None
    await check(orchestrator, workflow_id, expected=undisturbed)
