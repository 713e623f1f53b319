"""An audit reports differences of history and stores that no run in progress explains."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestration.audit.chain import expected_chain
from orchestration.audit.entries import examine
from orchestration.audit.evidence import Evidence, FollowerEvidence
from orchestration.audit.verification import _make_ending_check, judge
from orchestration.client.history import HistoryRun, WorkflowHistory
from orchestration.client.reconcile import RECONCILER
from perdure.checkpoint import Auditable, WorkflowCheckpoint, checkpoint_id, seal
from perdure.stores.postgres.audit import RunRow
from tests.conformance.chains import BEGINNING, following, make_chain
from workflows.messages import PipelineInput

RUN = "run"
RUN_ID = "0b9a"
CLOSED_AT = BEGINNING + timedelta(hours=1)
Status = WorkflowExecutionStatus


class NamedStore:
    """A follower that has a name only; the evidence holds its checkpoints."""

    count_name = "file_checkpoints"


def run(
    status: WorkflowExecutionStatus,
    checkpoints: Sequence[WorkflowCheckpoint],
    acknowledged: int | None = None,
    **more: Any,
) -> HistoryRun:
    """Return the run as history shows it; the first `acknowledged` checkpoints are acknowledged."""
    return HistoryRun(
        RUN_ID,
        RUN_ID,
        status,
        BEGINNING,
        None if status is Status.RUNNING else CLOSED_AT,
        checkpoints,
        [],
        frozenset(checkpoint.digest for checkpoint in checkpoints[:acknowledged]),
        PipelineInput(sources=[]),
        **more,
    )


def evidence_of(
    rows: Sequence[WorkflowCheckpoint],
    file: Sequence[WorkflowCheckpoint] | None,
    history: HistoryRun | None,
    before: HistoryRun | None = None,
    **more: Any,
) -> Evidence:
    """Return the evidence of a run.

    Args:
        rows: the checkpoints in Postgres.
        file: the checkpoints in the file; None without a file.
        history: the run as it was read last; None if Temporal does not know the run.
        before: the run as it was read before the stores; by default equal to `history`.
        more: further fields.
    """

    def entries(checkpoints: Sequence[WorkflowCheckpoint]) -> list[Any]:
        return [examine(checkpoint.model_dump(mode="json"), RUN) for checkpoint in checkpoints]

    followers = []
    if file is not None:
        followers.append(FollowerEvidence(cast("Auditable", NamedStore()), "the file", [], entries(file), None))
    first = before or history
    return Evidence(
        RUN,
        WorkflowHistory([first] if first else []),
        followers,
        WorkflowHistory([history] if history else []),
        entries(rows),
        **more,
    )


def differences(evidence: Evidence) -> list[tuple[str, str]]:
    """Return the kind of each difference, and the beginning of its sentence."""
    stores = [evidence.rows, *[follower.entries for follower in evidence.followers]]
    chain = expected_chain(evidence.history, stores, _make_ending_check(evidence))
    verification = judge(evidence, chain, documents=False)
    return [(difference.kind, difference.sentence.partition(" (")[0]) for difference in verification.differences]


def test_file_ahead_of_postgres_in_a_running_run_is_a_missing_row() -> None:
    """Postgres is written before the file, so a row that only the file has is lost."""
    chain = make_chain(RUN, 4)
    running = run(Status.RUNNING, chain, acknowledged=2)
    assert differences(evidence_of(chain[:3], chain, running)) == [("missing_checkpoint", "In Postgres, checkpoint 4")]


def test_file_behind_postgres_is_a_difference_only_after_the_end_of_the_run() -> None:
    chain = make_chain(RUN, 4)
    assert differences(evidence_of(chain, chain[:3], run(Status.RUNNING, chain, acknowledged=3))) == []
    ended = run(Status.COMPLETED, chain, acknowledged=3)
    missing = [("missing_checkpoint", "In the file, checkpoint 4")]
    assert differences(evidence_of(chain, chain[:3], ended)) == missing
    assert differences(evidence_of(chain, chain[:3], None)) == missing, "a run that Temporal has forgotten"


def test_run_that_ends_while_it_is_read_may_lag_behind() -> None:
    """The file was read before the end of the run, when it could still lag behind."""
    chain = make_chain(RUN, 4)
    evidence = evidence_of(
        chain, chain[:3], run(Status.COMPLETED, chain), run(Status.RUNNING, chain[:3], acknowledged=3)
    )
    assert differences(evidence) == []


@pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED])
def test_checkpoint_acknowledged_before_the_reading_must_be_in_every_store(status: Status) -> None:
    chain = make_chain(RUN, 4)
    acknowledged = run(status, chain)
    assert differences(evidence_of(chain[:3], chain[:3], acknowledged)) == [
        ("missing_checkpoint", "In Postgres, checkpoint 4"),
        ("missing_checkpoint", "In the file, checkpoint 4"),
    ]


def test_checkpoint_acknowledged_during_the_reading_may_be_in_no_store() -> None:
    chain = make_chain(RUN, 4)
    evidence = evidence_of(chain[:3], chain[:3], run(Status.RUNNING, chain), run(Status.RUNNING, chain[:3]))
    assert differences(evidence) == []


def recorded_ending(chain: Sequence[WorkflowCheckpoint], **changes: Any) -> WorkflowCheckpoint:
    """Return the checkpoint with which the reconciler records the end of the run."""
    ending = following(chain[-1], status=changes.pop("status", "failed"))
    metadata = {**ending.metadata, "recorded_by": RECONCILER, "run_id": RUN_ID, **changes.pop("metadata", {})}
    return seal(ending.model_copy(update={"timestamp": CLOSED_AT, "metadata": metadata, **changes}))


def test_recorded_end_belongs_to_the_chain() -> None:
    chain = make_chain(RUN, 3)
    ending = recorded_ending(chain)
    terminated = run(Status.TERMINATED, chain)
    assert differences(evidence_of([*chain, ending], [*chain, ending], terminated)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "cancelled"},
        {"status": "completed"},
        {"timestamp": CLOSED_AT + timedelta(seconds=1)},
        {"metadata": {"recorded_by": "a user"}},
        {"metadata": {"run_id": "another run"}},
    ],
    ids=str,
)
def test_recorded_end_that_temporal_contradicts_is_an_added_checkpoint(changes: dict[str, Any]) -> None:
    chain = make_chain(RUN, 3)
    forged = recorded_ending(chain, **changes)
    evidence = evidence_of([*chain, forged], [*chain, forged], run(Status.TERMINATED, chain))
    assert {kind for kind, _ in differences(evidence)} == {"added_checkpoint"}


def test_unrecorded_end_is_a_difference_unless_another_one_explains_it() -> None:
    chain = make_chain(RUN, 3)
    terminated = run(Status.TERMINATED, chain)
    assert [kind for kind, _ in differences(evidence_of(chain, chain, terminated))] == ["unrecorded_end"]
    assert [kind for kind, _ in differences(evidence_of(chain, chain[:2], terminated))] == ["missing_checkpoint"]
    for status in (Status.RUNNING, Status.COMPLETED):
        assert differences(evidence_of(chain, chain, run(status, chain))) == []


def test_recorded_end_of_an_earlier_run_does_not_record_this_one() -> None:
    chain = make_chain(RUN, 3)
    ending = recorded_ending(chain, metadata={"run_id": "an earlier run"})
    terminated = run(Status.TERMINATED, [*chain, ending])
    resumed = RunRow(ending.epoch + 1, "in_progress", None)
    evidence = evidence_of([*chain, ending], None, terminated, run=resumed)
    assert [kind for kind, _ in differences(evidence)] == ["unrecorded_end"]
    ending = recorded_ending(chain)
    assert differences(evidence_of([*chain, ending], None, run(Status.TERMINATED, chain), run=resumed)) == []


def test_pruned_beginning_needs_a_second_source() -> None:
    """The rows that are left cannot show whether the earlier rows were pruned or lost."""
    chain = make_chain(RUN, 4)
    assert differences(evidence_of(chain[2:], chain[2:], None)) == []
    assert [kind for kind, _ in differences(evidence_of(chain[2:], None, None))] == ["missing_checkpoint"]
    assert differences(evidence_of(chain[2:], None, None, retired=2)) == []
    assert differences(evidence_of(chain[2:], chain, None)) == [
        ("missing_checkpoint", "In Postgres, the checkpoints 1 to 2 are missing, 2 of them.")
    ]


def test_sealed_checkpoint_with_the_id_of_another_place_is_misplaced() -> None:
    chain = make_chain(RUN, 3)
    renamed = [*chain[:2], seal(chain[2].model_copy(update={"checkpoint_id": checkpoint_id(RUN, 30)}))]
    assert {kind for kind, _ in differences(evidence_of(renamed, renamed, None))} == {"misplaced_checkpoint"}


def test_run_is_idle_only_if_nothing_happened_while_the_stores_were_read() -> None:
    chain = make_chain(RUN, 2)
    resting = run(Status.RUNNING, chain, events=20, at_rest=True)
    assert evidence_of(chain, None, resting).idle
    for before, after in (
        (replace(resting, events=19), resting),
        (replace(resting, run_id="earlier"), resting),
        (resting, replace(resting, at_rest=False)),
        (resting, replace(resting, status=Status.COMPLETED)),
    ):
        evidence = evidence_of(chain, None, after, before)
        assert evidence.idle is (after.status is Status.COMPLETED), "a run that has just ended did nothing before"
