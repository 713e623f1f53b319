"""Scripted activities for workflow tests, under the names of the product's activities.

Other tests check the product's activities. These tests check how the workflow reacts to the answers of activities.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.batches import BatchRequest, BatchResult
from activities.manifest import (
    NAMES_PAGE_SIZE,
    AddRequest,
    AddResult,
    CloseRequest,
    DiscoverRequest,
    DiscoverResult,
    NamesRequest,
)
from activities.recovery import RecoverRequest, RecoverResult
from activities.services import AnalyticsResult, IdentityResult, ServiceRequest
from perdure.checkpoint import ServiceState, WorkflowCheckpoint
from perdure.manifest import ManifestTotals

QUALITY = 0.5
SECONDS = 60.0
SET_BACK = "The database was restored or replaced."
AWAY = "Postgres is unavailable: connection refused"
MIRRORED = "mirrored"
"""The key that holds `mirror_checkpoint` after the checkpoint is stored."""


class World:
    """In-memory documents and mirror, with a gate before each kind of activity.

    `hold` makes activities wait until `release`. `away` has the keys of activities that fail as if Postgres were
    unavailable. `refuse` has the keys of activities that fail with a non-retryable error. A key is an activity's name,
    the first ordinal of a batch, the first source of an addition, or `MIRRORED`.
    """

    def __init__(self, documents: int = 0) -> None:
        self.documents = [f"{number:05}.txt" for number in range(documents)]
        self.bad: set[int] = set()
        self.done: dict[int, str] = {}
        """Position to status."""
        self.queue: list[int] = []
        """Ordinal to position."""
        self.cancelled = 0
        self.mirror: list[WorkflowCheckpoint] = []
        self.requests: list[tuple[str, Any]] = []
        self.in_flight = 0
        self.widest = 0
        self.away: set[str | int] = set()
        self.refuse: dict[str | int, str] = {}
        self.refuse_as = "StaleWriter"
        self.epoch = 1
        """The latest epoch that was given out; requests of an older epoch are refused."""
        self.claims: dict[str, int] = {}
        """The epoch of each claim of a recovery; a repeated claim gets the same epoch."""
        self.unwell: dict[str, str] = {}
        """Unhealthy services by name, with the reason."""
        self.waiting: Counter[str | int] = Counter()
        self.closed_as: list[str] = []
        self.stubborn = False
        """Whether activities complete although they are cancelled."""
        self.delay: Callable[[], float] = lambda: 0.0
        self._held: set[str | int] = set()

    def hold(self, *keys: str | int) -> None:
        self._held.update(keys)

    def release(self, *keys: str | int) -> None:
        """Let the named activities continue, or all of them."""
        self._held.difference_update(keys or list(self._held))

    async def until_held(self, key: str | int) -> None:
        """Wait until an activity of this key is held."""
        await until(lambda: self.waiting[key] > 0, f"{key} is held")

    def requests_of(self, name: str) -> list[Any]:
        return [request for called, request in self.requests if called == name]

    @property
    def activities(self) -> list[Callable[..., Any]]:
        return [
            self.discover,
            self.add_documents,
            self.name_documents,
            self.close_run,
            self.process_batch,
            self.capture_service_states,
            self.mirror_checkpoint,
            self.resolve_identities,
            self.build_analytics,
            self.recover,
        ]

    async def _gate(self, name: str, request: Any, key: str | int | None = None) -> None:
        self.requests.append((name, request))
        keys: set[str | int] = {name} if key is None else {name, key}
        await self._wait_while_held(keys)
        await asyncio.sleep(self.delay())
        if keys & self.away:
            raise ApplicationError(AWAY, type="DependencyUnavailable")
        for refused in keys & self.refuse.keys():
            raise ApplicationError(self.refuse[refused], type=self.refuse_as, non_retryable=True)
        if getattr(request, "epoch", self.epoch) != self.epoch and name != "recover":
            raise ApplicationError(SET_BACK, type="StoreSetBack", non_retryable=True)

    async def _wait_while_held(self, keys: set[str | int]) -> None:
        self.waiting.update(keys)
        try:
            while keys & self._held:
                try:
                    activity.heartbeat()
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    if not self.stubborn:
                        raise
        finally:
            self.waiting.subtract(keys)

    def set_back(self, documents: int, checkpoints: int) -> None:
        """Act as a restored database: keep the first documents and checkpoints, forget the epoch."""
        self.done = {position: self.done[position] for position in range(documents) if position in self.done}
        del self.mirror[checkpoints:]
        self.epoch = 0

    def _names(self, first: int, end: int) -> list[str]:
        return [self.documents[position] for position in self.queue[first:end]]

    def _totals(self) -> ManifestTotals:
        processed = sum(status == "processed" for status in self.done.values())
        pending = len(self.documents) - len(self.done) - self.cancelled
        return ManifestTotals(
            total=len(self.documents),
            processed=processed,
            quarantined=len(self.done) - processed,
            cancelled=self.cancelled,
            pending=pending,
            queued=len(self.queue),
            queued_bytes=100 * len(self.queue),
            quality_sum=QUALITY * processed,
        )

    @activity.defn(name="discover")
    async def discover(self, request: DiscoverRequest) -> DiscoverResult:
        await self._gate("discover", request)
        if request.retry_quarantined and not request.sources:
            self.queue = [position for position, status in self.done.items() if status == "quarantined"]
            self.done = {position: status for position, status in self.done.items() if status != "quarantined"}
        elif not self.queue:
            self.queue = [position for position in range(len(self.documents)) if position not in self.done]
        names = self._names(0, min(NAMES_PAGE_SIZE, len(self.queue)))
        self.epoch = request.at_least_epoch
        return DiscoverResult(epoch=request.at_least_epoch, totals=self._totals(), names=names)

    @activity.defn(name="add_documents")
    async def add_documents(self, request: AddRequest) -> AddResult:
        await self._gate("add_documents", request, request.sources[0])
        for source in request.sources:
            if source not in self.documents:
                self.queue.append(len(self.documents))
                self.documents.append(source)
        positions = [self.documents.index(source) for source in request.sources]
        ordinals = [self.queue.index(position) for position in positions if position in self.queue]
        first = min(ordinals, default=0)
        end = max(ordinals, default=-1) + 1
        return AddResult(totals=self._totals(), first_ordinal=first, end_ordinal=end, names=self._names(first, end))

    @activity.defn(name="recover")
    async def recover(self, request: RecoverRequest) -> RecoverResult:
        await self._gate("recover", request)
        if self.epoch > self.claims.get(request.claim, request.epoch):
            raise ApplicationError("The run was taken over by a later one.", type="StaleWriter", non_retryable=True)
        self.epoch = self.claims.setdefault(request.claim, request.epoch + 1)
        sent = {request.sequence: request for request in self.requests_of("mirror_checkpoint")}
        known = len(self.mirror)
        self.mirror += [sent[sequence] for sequence in sorted(sent) if sequence > known]
        self.queue = [position for position in range(len(self.documents)) if position not in self.done]
        return RecoverResult(
            epoch=self.epoch,
            totals=self._totals(),
            names=self._names(0, min(NAMES_PAGE_SIZE, len(self.queue))),
            latest=self.mirror[-1] if self.mirror else None,
            restored=len(self.mirror) - known,
        )

    @activity.defn(name="name_documents")
    async def name_documents(self, request: NamesRequest) -> list[str]:
        await self._gate("name_documents", request)
        return self._names(request.first, request.end)

    @activity.defn(name="process_batch")
    async def process_batch(self, request: BatchRequest) -> BatchResult:
        self.in_flight += 1
        self.widest = max(self.widest, self.in_flight)
        try:
            await self._gate("process_batch", request, request.first)
        finally:
            self.in_flight -= 1
        positions = self.queue[request.first : request.end]
        if self.done.keys() & set(positions):
            raise ApplicationError("handed out twice", non_retryable=True)
        self.done |= {position: "quarantined" if position in self.bad else "processed" for position in positions}
        processed = sum(self.done[position] == "processed" for position in positions)
        quarantined = len(positions) - processed
        return BatchResult(processed=processed, quarantined=quarantined, quality_sum=QUALITY * processed)

    @activity.defn(name="capture_service_states")
    async def capture_service_states(self, request: ServiceRequest) -> dict[str, ServiceState]:
        await self._gate("capture_service_states", request)
        time = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            name: ServiceState(status="unhealthy", last_check=time, metadata={"why": self.unwell[name]})
            if name in self.unwell
            else ServiceState(status="healthy", last_check=time)
            for name in ("IdentityService", "Letters")
        }

    @activity.defn(name="mirror_checkpoint")
    async def mirror_checkpoint(self, checkpoint: WorkflowCheckpoint) -> None:
        await self._gate("mirror_checkpoint", checkpoint)
        stored = next((known for known in self.mirror if known.sequence == checkpoint.sequence), None)
        if stored is None:
            self.mirror.append(checkpoint)
        elif stored != checkpoint:
            raise ApplicationError("Another checkpoint is stored.", type="CheckpointConflict", non_retryable=True)
        await self._wait_while_held({MIRRORED})

    @activity.defn(name="resolve_identities")
    async def resolve_identities(self, request: ServiceRequest) -> IdentityResult:
        await self._gate("resolve_identities", request)
        return IdentityResult(identities=1, resolution_rate=1.0)

    @activity.defn(name="build_analytics")
    async def build_analytics(self, request: ServiceRequest) -> AnalyticsResult:
        await self._gate("build_analytics", request)
        return AnalyticsResult(nodes=1, edges=0)

    @activity.defn(name="close_run")
    async def close_run(self, request: CloseRequest) -> ManifestTotals:
        await self._gate("close_run", request)
        if request.through_with is not None and len(self.done) < request.through_with:
            raise ApplicationError(SET_BACK, type="StoreSetBack", non_retryable=True)
        self.closed_as.append(request.status)
        if request.status == "cancelled":
            self.cancelled = len(self.documents) - len(self.done)
        return self._totals()


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what
