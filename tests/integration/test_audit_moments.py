"""Audits and rebuilds of a run that writes during each of their steps.

An audit finds no false difference, and a rebuild loses no checkpoint.
"""

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orchestration.audit import rebuild_mirror, verify
from orchestration.audit.verification import look
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointGap, RefusedCommand
from tests.conformance.chains import following
from tests.integration.audited_run import checkpoint_file, harm, rewrite
from tests.integration.workerless_runs import open_run, store_chain, write_now

LENGTH = 4
WRITING = "writing to Postgres"


@pytest.fixture
def run() -> str:
    return f"moments-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def orchestrator(settings: Settings, run: str) -> AsyncIterator[PipelineOrchestrator]:
    """A client with a run that is open in Temporal and has `LENGTH` checkpoints in every store."""
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await store_chain(orchestrator, run, LENGTH)
        await open_run(orchestrator, run)
        yield orchestrator


class Writer:
    """Appends a checkpoint to every store at each step of an audit, or at each step of one kind.

    Args:
        settings: settings with the stores.
        latest: the checkpoint that the first appended checkpoint follows.
        moment: the only step at which the writer writes; None for every step.
        at_most: largest number of checkpoints to write.
    """

    def __init__(
        self, settings: Settings, latest: WorkflowCheckpoint, *, moment: str | None = None, at_most: int = 1000
    ) -> None:
        self.written: list[WorkflowCheckpoint] = []
        self._settings = settings
        self._latest = latest
        self._moment = moment
        self._at_most = at_most

    def __call__(self, moment: str) -> None:
        if self._moment in (None, moment) and len(self.written) < self._at_most:
            self._latest = following(self._latest)
            write_now(self._settings, [self._latest])
            self.written.append(self._latest)


async def test_run_that_writes_at_each_moment_of_an_audit_shows_no_difference(
    orchestrator: PipelineOrchestrator, run: str
) -> None:
    latest = await orchestrator.stores.leader.latest(run)
    assert latest
    writer = Writer(orchestrator.settings, latest)
    _, _, verification = await look(orchestrator.client, orchestrator.stores, run, writer)
    assert len(writer.written) >= 5
    assert verification.differences == []


class Looks:
    """Calls a function at the beginning of each pass of an audit, with the number of the pass."""

    def __init__(self, at_look: Callable[[int], None]) -> None:
        self.count = 0
        self._at_look = at_look

    def __call__(self, moment: str) -> None:
        if moment == "reading the history":
            self.count += 1
            self._at_look(self.count)


def _edit(place: int) -> Callable[[list[Any]], list[Any]]:
    def edit(stored: list[Any]) -> list[Any]:
        stored[place]["processed_documents"] += 77
        return stored

    return edit


async def test_difference_that_a_second_look_does_not_see_is_not_reported(
    orchestrator: PipelineOrchestrator, run: str
) -> None:
    path = checkpoint_file(orchestrator)
    whole = path.read_text()

    def change(look: int) -> None:
        path.write_text(whole)
        rewrite(path, _edit(look))  # another element in each pass

    looks = Looks(change)
    verification = await verify(orchestrator.client, orchestrator.stores, run, looks)
    assert looks.count == 2
    assert verification.differences == []


async def test_difference_of_two_looks_is_reported(orchestrator: PipelineOrchestrator, run: str) -> None:
    rewrite(checkpoint_file(orchestrator), _edit(1))
    looks = Looks(lambda _: None)
    verification = await verify(orchestrator.client, orchestrator.stores, run, looks)
    assert looks.count == 2
    assert [difference.subject for difference in verification.differences] == ["checkpoint 2"]


async def test_rebuild_reads_again_after_the_run_has_written(orchestrator: PipelineOrchestrator, run: str) -> None:
    before = await orchestrator.list_checkpoints(run)
    await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 2")
    writer = Writer(orchestrator.settings, before[-1], moment=WRITING, at_most=1)
    assert (await rebuild_mirror(orchestrator.client, orchestrator.stores, run, writer)).changed
    for store in orchestrator.stores.checkpoints:
        assert list(await store.list(run)) == [*before, *writer.written]
    assert (await verify(orchestrator.client, orchestrator.stores, run)).differences == []
    assert len(writer.written) == 1


async def test_rebuild_of_a_run_that_never_rests_gives_up_and_loses_nothing(
    orchestrator: PipelineOrchestrator, run: str
) -> None:
    before = await orchestrator.list_checkpoints(run)
    await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 2")
    writer = Writer(orchestrator.settings, before[-1], moment=WRITING)
    with pytest.raises(CheckpointGap):
        await rebuild_mirror(orchestrator.client, orchestrator.stores, run, writer)
    assert list(await orchestrator.stores.followers[0].list(run)) == [*before, *writer.written]
    expected = [checkpoint for checkpoint in [*before, *writer.written] if checkpoint.sequence != 2]
    assert list(await orchestrator.stores.leader.list(run)) == expected


async def test_rebuild_without_an_intact_copy_changes_nothing(orchestrator: PipelineOrchestrator, run: str) -> None:
    await harm(orchestrator, "UPDATE workflow_checkpoints SET processed_documents = 77 WHERE sequence = 2")
    path = checkpoint_file(orchestrator)
    rewrite(path, _edit(1))
    damaged = path.read_bytes()
    with pytest.raises(RefusedCommand, match="intact copy of checkpoint 2"):
        await rebuild_mirror(orchestrator.client, orchestrator.stores, run)
    assert path.read_bytes() == damaged
    rows = await orchestrator.stores.leader.list(run)
    assert [checkpoint.processed_documents for checkpoint in rows] == [1, 77, 3, 4]
