"""The conditions for recording the end of a run, and the checkpoint that records the end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from orchestration.client.history import HistoryRun, WorkflowHistory
from orchestration.client.reconcile import RECONCILER, _append_to_followers, _is_whole, _records_end, make_ending
from perdure.checkpoint import WorkflowCheckpoint, seal
from perdure.manifest import ManifestTotals
from perdure.stores.postgres.endings import Standing
from tests.conformance.chains import BEGINNING, following, make_chain
from tests.unit.client.held_stores import HeldStore, stores_of
from workflows.messages import PipelineInput, PipelineOptions, ResumePoint

RUN = "run"
CHAIN = make_chain(RUN, 4)
OTHER = seal(CHAIN[3].model_copy(update={"processed_documents": 77}))
EDITED = CHAIN[3].model_copy(update={"processed_documents": 77})
"""The digest is that of the content before the edit."""


def history(acknowledged: Sequence[WorkflowCheckpoint] = (), *, after: WorkflowCheckpoint | None = None) -> HistoryRun:
    """Return the terminated run with these acknowledged checkpoints, which continue `after`."""
    resume = None
    if after:
        resume = ResumePoint(
            checkpoint_id=after.checkpoint_id, sequence=after.sequence, digest=after.digest, epoch=after.epoch
        )
    return HistoryRun(
        "run-1",
        "run-1",
        WorkflowExecutionStatus.TERMINATED,
        BEGINNING,
        BEGINNING + timedelta(hours=1),
        list(acknowledged),
        [],
        frozenset(checkpoint.digest for checkpoint in acknowledged),
        PipelineInput(sources=["file:///papers"], resume=resume, options=PipelineOptions(concurrency=7)),
        events=40,
    )


@pytest.mark.parametrize(
    ("rows", "file", "run", "whole"),
    [
        (CHAIN, CHAIN, history(CHAIN), True),
        (CHAIN, CHAIN[:3], history(CHAIN), True),
        (CHAIN, CHAIN, history(CHAIN[:3]), True),
        (CHAIN, CHAIN, history(after=CHAIN[-1]), True),
        ([], [], history(), True),
        ([*CHAIN[:3], EDITED], CHAIN, history(CHAIN), False),
        ([*CHAIN[:3], EDITED], CHAIN, history(after=CHAIN[-1]), False),
        (CHAIN[:3], CHAIN, history(CHAIN[:3]), False),
        (CHAIN[:3], CHAIN[:3], history(CHAIN), False),
        ([*CHAIN[:3], OTHER], CHAIN[:3], history(CHAIN), False),
        ([], [], history(CHAIN), False),
        ([], [], history(after=CHAIN[-1]), False),
        ([], CHAIN, history(), False),
    ],
    ids=[
        "as history has it",
        "the file lags behind",
        "the last checkpoint is not acknowledged",
        "the chain of an earlier run",
        "nothing taken yet",
        "the latest row is edited",
        "the latest row of an earlier run is edited",
        "the file is ahead",
        "an acknowledged checkpoint is lost",
        "another checkpoint in place of an acknowledged checkpoint",
        "all rows are lost",
        "the rows of an earlier run are lost",
        "only the file has rows",
    ],
)
async def test_end_is_recorded_only_on_a_mirror_without_damage(
    rows: list[WorkflowCheckpoint], file: list[WorkflowCheckpoint], run: HistoryRun, whole: bool
) -> None:
    stores = stores_of(HeldStore("Postgres", rows), HeldStore("files", file))
    assert await _is_whole(stores, RUN, WorkflowHistory([run])) is whole


async def test_later_epoch_may_have_the_place_of_an_acknowledged_checkpoint() -> None:
    """Both stores were set back, and a recovery took the place again with a higher epoch."""
    taken_again = following(CHAIN[2], epoch=2)
    stores = stores_of(HeldStore("Postgres", [*CHAIN[:3], taken_again]), HeldStore("files", CHAIN[:3]))
    assert await _is_whole(stores, RUN, WorkflowHistory([history(CHAIN)]))


def terminated(run_id: str = "run-1", status: WorkflowExecutionStatus = WorkflowExecutionStatus.TERMINATED) -> Any:
    """Return the execution as Temporal describes it."""

    class Execution:
        pass

    execution = Execution()
    execution.__dict__.update(id=RUN, run_id=run_id, status=status)
    return cast("WorkflowExecution", execution)


def ending(standing: Standing) -> WorkflowCheckpoint:
    return make_ending(terminated(), history(), standing)


def standing(latest: WorkflowCheckpoint | None, epoch: int = 1) -> Standing:
    totals = ManifestTotals(total=9, processed=5, quarantined=1, pending=3, queued=9, quality_sum=2.5)
    return Standing(epoch, totals, [(0, 4), (6, 8)], latest)


def test_recorded_end_counts_the_manifest_and_continues_the_chain() -> None:
    made = ending(standing(CHAIN[3]))
    data = made.state_data
    assert (made.sequence, made.previous_digest, made.epoch) == (5, CHAIN[3].digest, 1)
    assert (made.processed_documents, data.documents_total, data.documents_quarantined) == (5, 9, 1)
    assert (data.workflow_status, data.documents_remaining) == ("failed", 3)
    assert made.timestamp == BEGINNING + timedelta(hours=1)
    assert made.service_states == CHAIN[3].service_states
    assert made.metadata["recorded_by"] == RECONCILER
    assert ending(standing(CHAIN[3])) == made, "making it again gives the same bytes"


def test_recorded_end_covers_what_no_checkpoint_of_its_epoch_covers() -> None:
    latest = following(CHAIN[2], watermark=2, beyond_watermark=[[6, 7]])
    data = ending(standing(latest)).state_data
    assert (data.watermark, data.beyond_watermark) == (4, [[6, 8]])
    assert data.finished_since_last == [[2, 4], [7, 8]]
    of_another_epoch = ending(standing(latest, epoch=2)).state_data
    assert of_another_epoch.finished_since_last == [[0, 4], [6, 8]]
    started_anew = replace(standing(None), finished=[(2, 5)])
    data = ending(started_anew).state_data
    assert (data.watermark, data.beyond_watermark, data.finished_since_last) == (0, [[2, 5]], [[2, 5]])


def test_recorded_end_keeps_options_that_were_changed_during_its_run() -> None:
    changed = following(CHAIN[2], options=PipelineOptions(concurrency=3).model_dump())
    assert ending(standing(changed)).state_data.options["concurrency"] == 3
    of_an_earlier_run = ending(standing(changed, epoch=2))
    assert of_an_earlier_run.state_data.options["concurrency"] == 7, "its own options, not those of the earlier run"


@pytest.mark.parametrize(
    ("status", "run_id", "recorded"),
    [("failed", "run-1", True), ("failed", "run-0", False), ("cancelled", "run-1", False), ("paused", "run-1", False)],
)
def test_end_counts_as_recorded_by_its_own_run_and_status_only(status: str, run_id: str, recorded: bool) -> None:
    latest = following(CHAIN[3], status=status)
    latest = seal(latest.model_copy(update={"metadata": {**latest.metadata, "run_id": run_id}}))
    assert _records_end(latest, terminated()) is recorded


@pytest.mark.parametrize(
    ("file", "by", "appended"),
    [
        (CHAIN, RECONCILER, True),
        (CHAIN[:3], RECONCILER, False),
        ([*CHAIN[:3], OTHER], RECONCILER, False),
        (CHAIN, "the run itself", False),
    ],
    ids=["at the place before", "further behind", "another chain", "the workflow's own end"],
)
async def test_recorded_end_is_appended_to_a_follower_that_lacks_just_it(
    file: list[WorkflowCheckpoint], by: str, appended: bool
) -> None:
    """The process may have died after Postgres and before the file. Any other gap is damage."""
    end = ending(standing(CHAIN[3]))
    end = seal(end.model_copy(update={"metadata": {**end.metadata, "recorded_by": by}}))
    follower = HeldStore("files", file)
    await _append_to_followers(stores_of(HeldStore("Postgres", [*CHAIN, end]), follower), RUN, end)
    assert follower.held == ([*file, end] if appended else file)
