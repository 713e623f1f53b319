"""A client follows a run through outages of Temporal, and replaces its own worker."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client import following, resume
from orchestration.client.connected import Connected
from orchestration.client.own_worker import OwnWorker
from orchestration.client.run_status import RunReport
from orchestration.client.updates import NoWorkerAnswered
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import take_slot
from perdure.errors import ServerUnreachable, WorkflowNotRunning
from tests.unit.client.held_stores import HeldStore, stores_of
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import DocumentCounts, Progress

AWAY = RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")
SLOW = RPCError("deadline exceeded", RPCStatusCode.DEADLINE_EXCEEDED, b"")
REFUSED = RPCError("no permission", RPCStatusCode.PERMISSION_DENIED, b"")


class CountedWorker(OwnWorker):
    """Counts the requests for a worker."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, allowed=False)
        self.requests = 0

    async def ensure(self) -> bool:
        self.requests += 1
        return False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url="", temporal=TemporalSettings("temporal.example:7233"))


@pytest.fixture
def connected(settings: Settings) -> Connected:
    return Connected(settings, cast("Any", None), stores_of(HeldStore("Postgres")), CountedWorker(settings))


def report(status: str = "in_progress", *, running: bool = True) -> RunReport:
    return RunReport(
        workflow_id="run",
        run_id="1",
        workflow_status=status,
        documents=DocumentCounts(total=1, processed=0, quarantined=0, remaining=1),
        quality_score=0.0,
        latest_checkpoint=None,
        web_ui=None,
        running=running,
    )


def count_requests(connected: Connected) -> int:
    worker = connected.worker
    assert isinstance(worker, CountedWorker)
    return worker.requests


class Answers:
    """The server's answers in order; each takes `seconds` of the clock that the client reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[RunReport | RPCError], seconds: float) -> None:
        self.left = answers
        self._seconds = seconds
        self._clock = 0.0
        monkeypatch.setattr(following, "read_status", self._read_status)
        monkeypatch.setattr(following, "FOLLOW_EVERY_SECONDS", 0.0)
        monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: self._clock))

    async def _read_status(self, _: Connected, workflow_id: str) -> RunReport:
        assert workflow_id == "run"
        self._clock += self._seconds
        answer = self.left.pop(0)
        if isinstance(answer, RPCError):
            raise answer
        return answer


async def test_absences_shorter_than_the_limit_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, connected: Connected
) -> None:
    """Together the absences are longer than the limit; each alone is shorter."""
    ended = report("completed", running=False)
    absence: list[RunReport | RPCError] = [AWAY, SLOW, AWAY, SLOW]
    answers = Answers(monkeypatch, [report(), *absence, report(), *absence, ended], following.AWAY_SECONDS / 5)
    seen = [current async for current in following.follow(connected, "run")]
    assert [current.workflow_status for current in seen] == ["in_progress", "in_progress", "completed"]
    assert answers.left == []
    assert count_requests(connected) == 2, (
        "a worker that has ended is replaced while the run is running, and not afterwards"
    )


async def test_longer_absence_is_reported(monkeypatch: pytest.MonkeyPatch, connected: Connected) -> None:
    Answers(monkeypatch, [report(), *[AWAY] * 20], following.AWAY_SECONDS / 5)
    with pytest.raises(ServerUnreachable, match=r"temporal\.example:7233 has been .* for more than 60 seconds"):
        [current async for current in following.follow(connected, "run")]


async def test_refusal_of_the_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, connected: Connected) -> None:
    answers = Answers(monkeypatch, [report(), REFUSED, report("completed", running=False)], 0.0)
    with pytest.raises(RPCError, match="no permission"):
        [current async for current in following.follow(connected, "run")]
    assert len(answers.left) == 1


class Updates:
    """The fates of the updates that `resume` sends: the errors that they raise, or None."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fates: list[Exception | None], seconds: float = 0.0) -> None:
        self.sent: list[Any] = []
        self._fates = fates
        self._seconds = seconds
        self._clock = 0.0
        monkeypatch.setattr(resume, "send_update", self._send)
        monkeypatch.setattr(resume, "FOLLOW_EVERY_SECONDS", 0.0)
        monkeypatch.setattr(resume, "time", SimpleNamespace(monotonic=lambda: self._clock))

    async def _send(self, _: Connected, workflow_id: str, answers: type, update: Any) -> None:
        assert (workflow_id, answers) == ("run", Progress)
        self._clock += self._seconds
        self.sent.append(update)
        fate = self._fates.pop(0) if self._fates else None
        if fate:
            raise fate


async def test_resume_sends_an_update_again_until_a_worker_answers(
    monkeypatch: pytest.MonkeyPatch, connected: Connected
) -> None:
    """The worker that holds the slot may be stopping; the next worker answers."""
    updates = Updates(monkeypatch, [NoWorkerAnswered("no answer"), NoWorkerAnswered("no answer"), None])
    sentences: list[str] = []
    await resume._let_it_end(connected, report("paused"), keep_open=True, say=sentences.append)
    assert updates.sent == [DocumentPipeline.unpause] * 3
    assert sentences == ["The run was paused, and continues."]
    assert count_requests(connected) == 2, "a worker is started as soon as the slot is free"


async def test_resume_gives_an_update_up_after_its_time_limit(
    monkeypatch: pytest.MonkeyPatch, connected: Connected
) -> None:
    updates = Updates(monkeypatch, [NoWorkerAnswered("no answer")] * 20, resume.ANSWERED_WITHIN_SECONDS / 5)
    with pytest.raises(NoWorkerAnswered):
        await resume._let_it_end(connected, report(), keep_open=False, say=lambda _: None)
    assert len(updates.sent) == 6


@pytest.mark.parametrize(
    ("status", "keep_open", "sent"),
    [
        ("paused", False, [DocumentPipeline.unpause, DocumentPipeline.close]),
        ("paused", True, [DocumentPipeline.unpause]),
        ("in_progress", False, [DocumentPipeline.close]),
        ("in_progress", True, []),
    ],
)
async def test_resume_continues_a_paused_run_and_closes_it_unless_it_stays_open(
    monkeypatch: pytest.MonkeyPatch, connected: Connected, status: str, keep_open: bool, sent: list[Any]
) -> None:
    updates = Updates(monkeypatch, [])
    await resume._let_it_end(connected, report(status), keep_open=keep_open, say=lambda _: None)
    assert updates.sent == sent


async def test_resume_of_a_run_that_ends_meanwhile_is_no_error(
    monkeypatch: pytest.MonkeyPatch, connected: Connected
) -> None:
    updates = Updates(monkeypatch, [WorkflowNotRunning("it has ended")])
    await resume._let_it_end(connected, report("paused"), keep_open=False, say=lambda _: None)
    assert len(updates.sent) == 1


class StartedWorkers:
    """Counts the worker processes that a client starts, and lets them live or end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.alive = True
        monkeypatch.setattr(WorkerProcess, "start", self._start)

    async def _start(self, _: Settings) -> Any:
        self.count += 1
        return self


async def test_client_starts_a_worker_only_where_none_is_alive(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    started = StartedWorkers(monkeypatch)
    worker = OwnWorker(settings, allowed=True)
    slot = take_slot(settings.data_dir)
    assert not await worker.ensure(), "a worker of the data folder is alive"
    slot.release()
    assert not await OwnWorker(settings, allowed=False).ensure(), "this client may not start workers"
    assert await worker.ensure()
    assert not await worker.ensure(), "the worker that this client started has not taken its slot yet"
    started.alive = False
    assert await worker.ensure(), "a worker that has ended is replaced"
    assert started.count == 2
