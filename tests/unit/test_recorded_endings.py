"""The audit accepts a checkpoint for an end by Temporal only if the history proves it."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestration.audit.chain import expected_chain
from orchestration.audit.entries import examine
from orchestration.audit.evidence import Evidence
from orchestration.audit.verification import _make_ending_check
from orchestration.client.history import HistoryRun, WorkflowHistory
from orchestration.client.reconcile import RECONCILER, ending_of
from perdure.checkpoint import WorkflowCheckpoint, seal
from tests.conformance.chains import BEGINNING, following, make_chain
from workflows.messages import PipelineInput

RUN = "run"
CLOSED_AT = BEGINNING + timedelta(hours=1)
STATUS = WorkflowExecutionStatus.TERMINATED
CHAIN = make_chain(RUN, 3)
HISTORY = WorkflowHistory(
    [
        HistoryRun(
            "0b9a",
            "0b9a",
            STATUS,
            BEGINNING,
            CLOSED_AT,
            CHAIN,
            [],
            frozenset(checkpoint.digest for checkpoint in CHAIN),
            PipelineInput(sources=[]),
        )
    ]
)


def record_ending(**changes: object) -> WorkflowCheckpoint:
    """Return the reconciler's checkpoint after the chain, with some of its fields changed."""
    values = {
        "recorded_by": RECONCILER,
        "run_id": "0b9a",
        "timestamp": CLOSED_AT,
        "status": ending_of(STATUS),
        **changes,
    }
    ending = following(CHAIN[-1], status=values.pop("status"))
    timestamp = values.pop("timestamp")
    return seal(ending.model_copy(update={"timestamp": timestamp, "metadata": {**ending.metadata, **values}}))


def find_chain(ending: WorkflowCheckpoint) -> list[int]:
    """Return the sequences of the chain if a store holds this ending too."""
    entries = [examine(checkpoint.model_dump(mode="json"), RUN) for checkpoint in [*CHAIN, ending]]
    is_ending = _make_ending_check(Evidence(RUN, HISTORY, [], HISTORY))
    return sorted(expected_chain(HISTORY, [entries], is_ending).contents)


def test_recorded_ending_belongs_to_the_chain() -> None:
    assert find_chain(record_ending()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "forgery",
    [
        {"recorded_by": "another"},
        {"run_id": "unknown"},
        {"timestamp": CLOSED_AT + timedelta(seconds=1)},
        {"status": "completed"},
    ],
    ids=lambda forgery: next(iter(forgery)),
)
def test_forged_ending_does_not_belong_to_the_chain(forgery: dict[str, object]) -> None:
    assert find_chain(record_ending(**forgery)) == [1, 2, 3]
