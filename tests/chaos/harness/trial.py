"""A trial: a run under a schedule of faults, and the check of the promises.

The trial adds documents to an open run as long as faults happen, and compares the outputs with an undisturbed run's.
"""

import asyncio
import json
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.program.wiring import GRACE
from perdure.errors import WorkflowAlreadyRunning, WorkflowNotRunning
from tests.chaos.checker import check, committed
from tests.chaos.harness.faults import CARRY_OUT, MissedTarget
from tests.chaos.harness.schedule import Fault
from tests.chaos.harness.world import World
from tests.chaos.outputs import outputs
from tests.chaos.workers import ORPHAN_SECONDS, ROOT
from workflows.messages import PipelineOptions

OPTIONS = PipelineOptions(concurrency=4, batch_size=2, heartbeat_timeout_seconds=5.0, breaker_seconds=2.0)
"""The heartbeat timeout is shorter than the longest stop, so that other workers retry a stopped worker's activities."""
MIN_IN_HAND = 30
"""Number of unfinished documents below which the trial adds the next folder."""
END_SECONDS = 300.0
SHARE_IN_HAND = 0.75
"""Smallest share of the faults that must happen while the run has unfinished documents."""

Outputs = dict[str, tuple[int, str]]
WriteProgress = Callable[[str], None]


@dataclass
class Landed:
    """A fault that was carried out."""

    fault: Fault
    struck: datetime
    over: datetime
    in_hand: bool
    """Whether the run had unfinished documents when the fault started."""
    next_commit_seconds: float | None = None
    """Seconds from the end of the fault to the next commit of a document; None if no commit followed."""


@dataclass
class Verdict:
    """The result of a trial; `broken` has a sentence for each broken promise."""

    workflow_id: str
    seed: int
    landed: list[Landed] = field(default_factory=list)
    documents: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Trial:
    """Takes one run through a schedule of faults.

    Args:
        world: started servers and workers.
        folders: an endless iterator of folders of documents; the run gets each folder as a source.
        write_progress: called with each line of progress.
    """

    def __init__(self, world: World, folders: Iterator[Path], write_progress: WriteProgress) -> None:
        self._world = world
        self._folders = folders
        self._handed_over: list[str] = []
        self._write_progress = write_progress
        self._committed: dict[int, datetime] = {}
        self._pending = 0

    async def run(self, workflow_id: str, seed: int, faults: Sequence[Fault]) -> Verdict:
        """Start the run, carry out the faults, wait for the end, and return the verdict.

        A broken promise is a sentence in the verdict, not an exception.

        Args:
            workflow_id: the id for the new run.
            seed: the seed of the schedule, for the verdict.
            faults: the schedule.
        """
        verdict = Verdict(workflow_id, seed)
        began = time.monotonic()
        try:
            await self._start(workflow_id)
            feeder = asyncio.create_task(self._feed(workflow_id))
            while not self._pending and not feeder.done():
                await asyncio.sleep(0.05)  # before the end of discovery a fault cannot lose a document
            await self._strike(faults, verdict)
            feeder.cancel()
            with suppress(asyncio.CancelledError):
                await feeder  # raises the AssertionError of a document that was committed twice
            await self._world.up()
            await self._end(workflow_id)
            await self._judge(workflow_id, len(faults), verdict)
        except AssertionError as error:
            verdict.broken.append(_describe(error))
        except TimeoutError:
            verdict.broken.append(f"The run did not end within {END_SECONDS:.0f} s of the last fault.")
        verdict.seconds = time.monotonic() - began
        return verdict

    async def _start(self, workflow_id: str) -> None:
        first = self._next_folder()

        async def start(orchestrator: PipelineOrchestrator) -> None:
            options = OPTIONS.model_copy(update={"open": True})
            try:
                await orchestrator.start([first], workflow_id=workflow_id, options=options)
            except WorkflowAlreadyRunning:
                return  # an earlier call started the run, and the answer to that call was lost

        await self._world.ask(start, "the run is started")

    def _next_folder(self) -> str:
        self._handed_over.append(str(next(self._folders)))
        return self._handed_over[-1]

    async def _feed(self, workflow_id: str) -> None:
        """Add a folder whenever fewer than `MIN_IN_HAND` documents are unfinished; never returns."""

        async def look(orchestrator: PipelineOrchestrator) -> bool:
            return await self._look(orchestrator, workflow_id)

        async def add(orchestrator: PipelineOrchestrator) -> None:
            await orchestrator.add_documents(workflow_id, [self._next_folder()])

        while True:
            if await self._world.ask_once(look) and self._pending < MIN_IN_HAND:
                await self._world.ask_once(add)  # `_end` adds every folder again, in case this call was lost
            await asyncio.sleep(0.2)

    async def _look(self, orchestrator: PipelineOrchestrator, workflow_id: str) -> bool:
        """Assert that no document was committed again, and record all commits.

        Returns False before discovery has ended.
        """
        totals = await orchestrator.stores.manifest.totals(workflow_id)
        if totals is None:
            return False
        current = await committed(orchestrator, workflow_id)
        for position, moment in self._committed.items():
            assert current.get(position) == moment, f"Document {position} was committed twice."
        self._committed = current
        self._pending = totals.total - totals.processed - totals.quarantined
        return True

    async def _strike(self, faults: Sequence[Fault], verdict: Verdict) -> None:
        """Start each fault at its time.

        Faults of different kinds overlap. Faults of the same kind wait for each other.
        """
        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        async with asyncio.TaskGroup() as striking:
            for number, fault in enumerate(faults, start=1):
                await asyncio.sleep(fault.after)
                striking.create_task(self._carry_out(fault, number, turns[fault.kind], verdict))

    async def _carry_out(self, fault: Fault, number: int, turn: asyncio.Lock, verdict: Verdict) -> None:
        async with turn:
            try:
                async with CARRY_OUT[fault.kind](self._world, fault):
                    struck = datetime.now(UTC)
                    in_hand = self._pending > 0
                    self._write_progress(
                        f"fault {number}: {fault.kind}{f' for {fault.lasts:.1f} s' if fault.lasts else ''}"
                    )
                    await asyncio.sleep(fault.lasts)
            except MissedTarget as error:
                verdict.broken.append(str(error))
                return
            verdict.landed.append(Landed(fault, struck, datetime.now(UTC), in_hand))

    async def _end(self, workflow_id: str) -> None:
        async def hand_over_all(orchestrator: PipelineOrchestrator) -> None:
            """Add every folder again, because a call of `_feed` may have been lost.

            The run ignores a repeated folder.
            """
            await orchestrator.add_documents(workflow_id, self._handed_over)
            try:
                await orchestrator.close_intake(workflow_id)
            except WorkflowNotRunning:
                return  # an earlier call closed the intake, and the answer to that call was lost

        await self._world.ask(hand_over_all, "the run has all documents")
        self._write_progress("All faults are over. Waiting for the end of the run.")
        async with asyncio.timeout(END_SECONDS):
            await self._world.ask(lambda orchestrator: orchestrator.wait(workflow_id), "the run has ended")

    async def _judge(self, workflow_id: str, planned: int, verdict: Verdict) -> None:
        expected = await run_undisturbed(self._world, f"{workflow_id}-undisturbed", self._handed_over)

        async def judge(orchestrator: PipelineOrchestrator) -> None:
            finished = await check(orchestrator, workflow_id, before=self._committed)
            verdict.checkpoints = len(finished.checkpoints)
            verdict.documents = finished.outputs["documents"][0]
            verdict.broken += compare_outputs(finished.outputs, expected)
            moments = sorted((await committed(orchestrator, workflow_id)).values())
            for landed in verdict.landed:
                after = next((moment for moment in moments if moment > landed.over), None)
                landed.next_commit_seconds = (after - landed.over).total_seconds() if after else None

        await self._world.ask(judge, "the run is checked")
        verdict.broken += await asyncio.to_thread(self._list_differences, workflow_id)
        verdict.broken += await self._list_orphans()
        verdict.broken += list_shortfalls(verdict.landed, planned)

    def _list_differences(self, workflow_id: str) -> list[str]:
        """Run `starter.py verify` on the run, and return its differences as sentences."""
        command = [sys.executable, str(ROOT / "starter.py"), "verify", "--workflow-id", workflow_id, "--json"]
        environment = {**self._world.environment(), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        if done.returncode == 0:
            return []
        if done.returncode != 1:
            return [f"verify ended with {done.returncode}: {done.stderr.strip()}"]
        return [f"verify: {difference['sentence']}" for difference in json.loads(done.stdout)["differences"]]

    async def _list_orphans(self) -> list[str]:
        """Return a sentence for each process of the session that has no live supervisor.

        Waits until the processes of killed supervisors had their grace period to end.
        """
        deadline = time.monotonic() + GRACE.total_seconds() + ORPHAN_SECONDS
        while True:
            alive = {worker.process.pid for worker in self._world.workers}
            strays = [
                process
                for worker in [*self._world.workers, *self._world.fallen]
                for process in worker.family()
                if not alive & {process.pid, *_list_ancestors(process)}
            ]
            if not strays or time.monotonic() > deadline:
                return [f"Orphan: {process}" for process in strays]
            await asyncio.sleep(0.1)


def compare_outputs(stored: Outputs, expected: Outputs) -> list[str]:
    """Return a sentence for each kind of output that differs from the undisturbed run (P9)."""
    return [
        f"The {kind} differ from those of an undisturbed run: {stored[kind][0]} rows, expected {rows}."
        for kind, (rows, digest) in expected.items()
        if stored[kind] != (rows, digest)
    ]


def list_shortfalls(landed: Sequence[Landed], planned: int) -> list[str]:
    """Return a sentence for each way in which a trial did less than its schedule planned."""
    sentences = []
    if len(landed) < planned:
        sentences.append(f"Only {len(landed)} of {planned} faults were carried out.")
    in_hand = sum(fault.in_hand for fault in landed)
    if in_hand < SHARE_IN_HAND * planned:
        sentences.append(f"Only {in_hand} of {planned} faults happened while the run had unfinished documents.")
    return sentences


def _describe(error: AssertionError) -> str:
    """Return the message of a failed assertion, or its source line if it has no message."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return str(error) or f"{Path(where.filename).name}, line {where.lineno}: {where.line}"


def _list_ancestors(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.Error:
        return set()


async def run_undisturbed(world: World, workflow_id: str, folders: Sequence[str]) -> Outputs:
    """Run the pipeline over the same folders without faults, and return its outputs."""

    async def run(orchestrator: PipelineOrchestrator) -> Outputs:
        with suppress(WorkflowAlreadyRunning):  # an earlier call started the run, and its answer was lost
            await orchestrator.start(folders, workflow_id=workflow_id, options=OPTIONS)
        await orchestrator.wait(workflow_id)
        await check(orchestrator, workflow_id)
        return await outputs(orchestrator.stores.pool, workflow_id)

    stored = await world.ask(run, "the undisturbed run has ended")
    assert stored["documents"][0], "the undisturbed run has no documents, so a comparison would prove nothing"
    return stored
