"""The present code reads the saved messages of every release.

A replay does not check the input and the result of an activity.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from activities.batches import BatchRequest, BatchResult
from activities.manifest import (
    AddRequest,
    AddResult,
    CloseRequest,
    DiscoverRequest,
    DiscoverResult,
    NamesRequest,
)
from activities.recovery import RecoverRequest, RecoverResult
from activities.services import AnalyticsResult, IdentityResult, ServiceRequest
from perdure.checkpoint import WorkflowCheckpoint, compute_digest, upgrade
from perdure.manifest import ManifestTotals
from workflows.messages import AddDocuments, AddedDocuments, PipelineInput, Progress
from workflows.state import PipelineState

RELEASES = sorted((Path(__file__).parent / "wire").glob("*.json"))
MODELS: dict[str, type[BaseModel]] = {
    "Totals": ManifestTotals,  # up to 0.3.0 the class had this name, which the saved messages keep
    **{
        model.__name__: model
        for model in (
            BatchRequest,
            BatchResult,
            AddRequest,
            AddResult,
            CloseRequest,
            DiscoverRequest,
            DiscoverResult,
            NamesRequest,
            AnalyticsResult,
            IdentityResult,
            ServiceRequest,
            AddDocuments,
            AddedDocuments,
            PipelineInput,
            Progress,
            PipelineState,
            WorkflowCheckpoint,
            RecoverRequest,
            RecoverResult,
        )
    },
}
"""The name under which the messages of a model are saved, and the model."""
CASES = [(path, name) for path in RELEASES for name in MODELS if name in json.loads(path.read_text())]


def saved(path: Path, name: str) -> dict[str, Any]:
    messages: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return messages[name]


def only_known(read: Any, message: Any) -> Any:
    """Return the read message without the fields that later releases have added."""
    if isinstance(message, dict) and isinstance(read, dict):
        return {name: only_known(read[name], message[name]) for name in message}
    return read


@pytest.mark.parametrize(("path", "name"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_saved_message_of_every_release_is_read(path: Path, name: str) -> None:
    message = saved(path, name)
    model = MODELS[name]
    read = model.model_validate(message).model_dump(mode="json")
    assert only_known(read, message) == message


@pytest.mark.parametrize(("path", "name"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_unknown_field_of_a_later_release_is_ignored(path: Path, name: str) -> None:
    message = saved(path, name)
    model = MODELS[name]
    assert model.model_validate({**message, "of_a_later_version": {"a": 1}}) == model.model_validate(message)


def test_latest_release_has_a_saved_message_of_every_kind() -> None:
    assert set(MODELS) == set(json.loads(RELEASES[-1].read_text()))


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_stored_checkpoint_keeps_its_digest(path: Path) -> None:
    checkpoint = upgrade(saved(path, "WorkflowCheckpoint"))
    assert compute_digest(checkpoint) == checkpoint.digest
