"""The source of each value in a run's report, and the report without some stores."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from orchestration.client import run_status
from orchestration.client.run_status import combine, read_report
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.stores import Stores
from perdure.errors import DependencyUnavailable, UnknownWorkflow
from perdure.manifest import ManifestTotals
from tests.conformance.chains import make_checkpoint
from tests.unit.client.held_stores import HeldStore, stores_of
from workflows.announcements import DOCUMENTS_FAILED, DOCUMENTS_PROCESSED, DOCUMENTS_TOTAL, PIPELINE_STATUS

RUN = "run"
Status = WorkflowExecutionStatus


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url="", temporal=TemporalSettings("temporal.example:7233"))


def execution(status: WorkflowExecutionStatus, announced: str | None = None) -> WorkflowExecution:
    attributes: list[Any] = [
        SearchAttributePair(DOCUMENTS_TOTAL, 9),
        SearchAttributePair(DOCUMENTS_PROCESSED, 4),
        SearchAttributePair(DOCUMENTS_FAILED, 1),
    ]
    if announced:
        attributes.append(SearchAttributePair(PIPELINE_STATUS, announced))
    described = SimpleNamespace(status=status, run_id="1", typed_search_attributes=TypedSearchAttributes(attributes))
    return cast("WorkflowExecution", described)


@pytest.mark.parametrize(
    ("in_temporal", "recorded", "shown"),
    [
        (None, None, "in_progress"),
        (None, "completed", "completed"),
        (None, "paused", "paused"),
        (execution(Status.RUNNING), "completed", "in_progress"),
        (execution(Status.RUNNING, "paused"), "in_progress", "paused"),
        (execution(Status.RUNNING, "waiting"), "in_progress", "in_progress"),
        (execution(Status.TERMINATED, "in_progress"), "completed", "failed"),
        (execution(Status.TIMED_OUT), "in_progress", "failed"),
        (execution(Status.FAILED), None, "failed"),
        (execution(Status.CANCELED), "in_progress", "cancelled"),
        (execution(Status.COMPLETED, "completed"), "completed_with_failures", "completed_with_failures"),
        (execution(Status.COMPLETED, "completed_with_failures"), "in_progress", "completed_with_failures"),
        (execution(Status.COMPLETED), None, "completed"),
    ],
)
def test_status_is_that_of_temporal_and_in_detail_that_of_the_last_checkpoint(
    settings: Settings, in_temporal: WorkflowExecution | None, recorded: str | None, shown: str
) -> None:
    checkpoint = make_checkpoint(RUN, status=recorded) if recorded else None
    report = combine(settings, RUN, in_temporal, None, checkpoint)
    assert report.workflow_status == shown
    assert report.running is (in_temporal is not None and in_temporal.status == Status.RUNNING)


def test_counts_come_from_postgres_else_the_checkpoint_else_temporal(settings: Settings) -> None:
    totals = ManifestTotals(total=20, processed=7, quarantined=2, pending=8, cancelled=3, quality_sum=3.5)
    checkpoint = make_checkpoint(RUN, 6, documents_total=12, documents_quarantined=3)
    running = execution(Status.RUNNING)

    def counts(totals: ManifestTotals | None, checkpoint: Any) -> tuple[int, int, int, int]:
        documents = combine(settings, RUN, running, totals, checkpoint).documents
        return documents.total, documents.processed, documents.quarantined, documents.remaining

    assert counts(totals, checkpoint) == (20, 7, 2, 11)
    assert counts(None, checkpoint) == (12, 6, 3, 3)
    assert counts(None, None) == (9, 4, 1, 4)
    assert combine(settings, RUN, running, totals, checkpoint).quality_score == 0.5
    assert combine(settings, RUN, running, ManifestTotals(total=2), checkpoint).quality_score == 0.0


class Manifest:
    """Knows the totals of a run; None if the database does not know the run."""

    def __init__(self, totals: ManifestTotals | None = None, *, away: bool = False) -> None:
        self._totals = totals
        self._away = away

    async def totals(self, _: str) -> ManifestTotals | None:
        if self._away:
            raise DependencyUnavailable("Postgres", "connection refused")
        return self._totals


def with_manifest(stores: Stores, manifest: Manifest) -> Stores:
    return Stores(stores.pool, cast("Any", manifest), stores.checkpoints)


async def test_run_is_unknown_only_if_every_store_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_none(*_: object) -> None:
        return None

    monkeypatch.setattr(run_status, "find_execution", find_none)
    checkpoint = make_checkpoint(RUN, status="completed")
    away = HeldStore("Postgres", away=True)

    async def read(manifest: Manifest, *stores: HeldStore) -> str:
        together = with_manifest(stores_of(*stores), manifest)
        return (await read_report(settings, cast("Any", None), together, RUN)).workflow_status

    with pytest.raises(UnknownWorkflow):
        await read(Manifest(), HeldStore("Postgres"), HeldStore("files"))
    with pytest.raises(DependencyUnavailable):
        await read(Manifest(away=True), away, HeldStore("files"))
    assert await read(Manifest(away=True), away, HeldStore("files", [checkpoint])) == "completed"
    assert await read(Manifest(ManifestTotals(total=1)), HeldStore("Postgres")) == "in_progress"


async def test_run_started_when_its_first_execution_did(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC)

    async def find(*_: object) -> WorkflowExecution:
        return execution(Status.RUNNING)

    async def first_start(*_: object) -> datetime:
        return started

    monkeypatch.setattr(run_status, "find_execution", find)
    monkeypatch.setattr(run_status, "first_start", first_start)
    stores = with_manifest(stores_of(HeldStore("Postgres")), Manifest())
    assert (await read_report(settings, cast("Any", None), stores, RUN)).started_at == started
