"""State data is written as it was read, with unknown fields and without missing fields."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perdure.checkpoint import StateData, WorkflowCheckpoint, compute_digest, upgrade
from tests.conformance.chains import make_checkpoint

WIRE = sorted((Path(__file__).resolve().parents[2] / "replay" / "wire").glob("*.json"))


def written(state: StateData) -> dict[str, Any]:
    """Return the JSON form."""
    return state.model_dump(mode="json")


def test_missing_fields_have_defaults_and_are_not_written() -> None:
    state = StateData(workflow_status="paused")
    assert (state.documents_total, state.beyond_watermark, state.breaker) == (0, [], None)
    assert written(state) == {"workflow_status": "paused"}


def test_a_default_that_was_given_is_written() -> None:
    state = StateData(workflow_status="paused", documents_total=0, recovered=None)
    assert written(state) == {"workflow_status": "paused", "documents_total": 0, "recovered": None}


def test_unknown_fields_are_kept_at_every_level() -> None:
    given = {
        "workflow_status": "paused",
        "of_a_later_release": {"a": [1, None]},
        "breaker": {"tripped_at": "t", "services": {"x": {"since": "s", "later": 1}}, "later": True},
    }
    assert written(StateData.model_validate(given)) == given


@pytest.mark.parametrize("score", [0, 0.0, 1, 0.92])
def test_a_number_keeps_its_type(score: float) -> None:
    state = StateData.model_validate_json(json.dumps({"workflow_status": "paused", "current_quality_score": score}))
    assert repr(state.current_quality_score) == repr(score)


@pytest.mark.parametrize(
    ("field", "value"),
    [("documents_total", "5"), ("watermark", True), ("beyond_watermark", [["0", 1]]), ("workflow_status", None)],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        StateData.model_validate({"workflow_status": "paused", field: value})


@pytest.mark.parametrize("path", WIRE, ids=lambda path: path.stem)
def test_saved_checkpoints_are_written_byte_for_byte(path: Path) -> None:
    stored = json.loads(path.read_text())["WorkflowCheckpoint"]
    for checkpoint in (upgrade(stored), WorkflowCheckpoint.model_validate_json(json.dumps(stored))):
        assert checkpoint.model_dump(mode="json") == stored
        assert compute_digest(checkpoint) == stored["metadata"]["digest"]


def test_the_status_of_a_checkpoint_is_that_of_its_state_data() -> None:
    assert make_checkpoint("w", status="cancelled").workflow_status == "cancelled"
