"""One run that goes through a schedule of faults, and the laws that it is judged by.

The run is open, and documents arrive for as long as faults happen, however fast the machine is, so it has work in hand
from the first fault to the last. It is judged against a run over the same documents that nothing disturbs, afterwards.
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
"""A heartbeat timeout that is shorter than the longest stop, so that others take over what a stopped worker holds."""
MIN_IN_HAND = 30
"""Documents; when fewer are waiting, the next folder arrives."""
END_SECONDS = 300.0
SHARE_IN_HAND = 0.75
"""At least so many of the faults must strike while documents are waiting or in hand."""

Outputs = dict[str, tuple[int, str]]
Tell = Callable[[str], None]


@dataclass
class Landed:
    """A fault that was carried out."""

    fault: Fault
    struck: datetime
    over: datetime
    in_hand: bool
    """Documents were waiting or being processed."""
    next_commit_seconds: float | None = None
    """From its end to the next document that was committed; None if it was the last."""


@dataclass
class Verdict:
    """What one trial came to; `broken` is empty if every law held."""

    workflow_id: str
    seed: int
    landed: list[Landed] = field(default_factory=list)
    documents: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Trial:
    """Args:
    world: up and well.
    folders: of documents, without end, each handed to the run as a source of its own.
    tell: told what happens, one line at a time.
    """

    def __init__(self, world: World, folders: Iterator[Path], tell: Tell) -> None:
        self._world = world
        self._folders = folders
        self._handed_over: list[str] = []
        self._tell = tell
        self._committed: dict[int, datetime] = {}
        self._pending = 0

    async def go(self, workflow_id: str, seed: int, faults: Sequence[Fault]) -> Verdict:
        """Never raises for a broken law: the verdict says which."""
        verdict, began = Verdict(workflow_id, seed), time.monotonic()
        try:
            await self._start(workflow_id)
            feeder = asyncio.create_task(self._feed(workflow_id))
            while not self._pending and not feeder.done():
                await asyncio.sleep(0.05)  # discovery comes first, and there is nothing to lose yet
            await self._strike(faults, verdict)
            if not feeder.done():
                feeder.cancel()
            with suppress(asyncio.CancelledError):
                await feeder  # what it found wrong, if anything
            await self._world.up()
            await self._end(workflow_id)
            await self._judge(workflow_id, len(faults), verdict)
        except AssertionError as error:
            verdict.broken.append(_sentence(error))
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
                return  # it was started, and the answer got lost

        await self._world.ask(start, "the run is started")

    def _next_folder(self) -> str:
        self._handed_over.append(str(next(self._folders)))
        return self._handed_over[-1]

    async def _feed(self, workflow_id: str) -> None:
        """Let the next folder arrive whenever little is left to do."""

        async def look(orchestrator: PipelineOrchestrator) -> bool:
            return await self._look(orchestrator, workflow_id)

        async def add(orchestrator: PipelineOrchestrator) -> None:
            await orchestrator.add_documents(workflow_id, [self._next_folder()])

        while True:
            if await self._world.glance(look) and self._pending < MIN_IN_HAND:
                await self._world.glance(add)  # if the answer gets lost, the last command hands it over once more
            await asyncio.sleep(0.2)

    async def _look(self, orchestrator: PipelineOrchestrator, workflow_id: str) -> bool:
        """Remember what is committed: none of it may ever be committed again."""
        totals = await orchestrator.stores.manifest.totals(workflow_id)
        if totals is None:
            return False
        now = await committed(orchestrator, workflow_id)
        for position, moment in self._committed.items():
            assert now.get(position) == moment, f"Document {position} was committed twice."
        self._committed = now
        self._pending = totals.total - totals.processed - totals.quarantined
        return True

    async def _strike(self, faults: Sequence[Fault], verdict: Verdict) -> None:
        """Faults begin when the schedule says so, and overlap; two of a kind come one after the other."""
        one_of_a_kind: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        async with asyncio.TaskGroup() as striking:
            for number, fault in enumerate(faults, start=1):
                await asyncio.sleep(fault.after)
                striking.create_task(self._carry_out(fault, number, one_of_a_kind[fault.kind], verdict))

    async def _carry_out(self, fault: Fault, number: int, turn: asyncio.Lock, verdict: Verdict) -> None:
        async with turn:
            try:
                async with CARRY_OUT[fault.kind](self._world, fault):
                    struck, in_hand = datetime.now(UTC), self._pending > 0
                    self._tell(f"fault {number}: {fault.kind}{f' for {fault.lasts:.1f} s' if fault.lasts else ''}")
                    await asyncio.sleep(fault.lasts)
            except MissedTarget as error:
                verdict.broken.append(str(error))
                return
            verdict.landed.append(Landed(fault, struck, datetime.now(UTC), in_hand))

    async def _end(self, workflow_id: str) -> None:
        async def hand_over_all(orchestrator: PipelineOrchestrator) -> None:
            """Whatever may have got lost on its way; a folder that arrives twice is nothing new."""
            await orchestrator.add_documents(workflow_id, self._handed_over)
            try:
                await orchestrator.close_intake(workflow_id)
            except WorkflowNotRunning:
                return  # closed by a try whose answer got lost

        await self._world.ask(hand_over_all, "the run has taken all documents")
        self._tell("all faults are over; the run goes on to its end")
        async with asyncio.timeout(END_SECONDS):
            await self._world.ask(lambda it: it.wait(workflow_id), "the run has ended")

    async def _judge(self, workflow_id: str, planned: int, verdict: Verdict) -> None:
        expected = await undisturbed(self._world, f"{workflow_id}-undisturbed", self._handed_over)

        async def judge(orchestrator: PipelineOrchestrator) -> None:
            found = await check(orchestrator, workflow_id, before=self._committed)
            verdict.checkpoints = len(found.checkpoints)
            verdict.documents = found.outputs["documents"][0]
            verdict.broken += other_outputs(found.outputs, expected)
            moments = sorted((await committed(orchestrator, workflow_id)).values())
            for one in verdict.landed:
                after = next((moment for moment in moments if moment > one.over), None)
                one.next_commit_seconds = (after - one.over).total_seconds() if after else None

        await self._world.ask(judge, "the run is judged")
        verdict.broken += await asyncio.to_thread(self._differences, workflow_id)
        verdict.broken += await self._orphans()
        verdict.broken += shortfalls(verdict.landed, planned)

    def _differences(self, workflow_id: str) -> list[str]:
        """What `starter.py verify` has to say."""
        command = [sys.executable, str(ROOT / "starter.py"), "verify", "--workflow-id", workflow_id, "--json"]
        environment = {**self._world.environment(), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        if done.returncode == 0:
            return []
        if done.returncode != 1:
            return [f"verify ended with {done.returncode}: {done.stderr.strip()}"]
        return [f"verify: {one['sentence']}" for one in json.loads(done.stdout)["differences"]]

    async def _orphans(self) -> list[str]:
        """Every process that was ever started belongs to a supervisor that is alive, once the others had their time."""
        deadline = time.monotonic() + GRACE.total_seconds() + ORPHAN_SECONDS
        while True:
            alive = {worker.process.pid for worker in self._world.workers}
            strays = [
                process
                for worker in [*self._world.workers, *self._world.fallen]
                for process in worker.family()
                if not alive & {process.pid, *_ancestors(process)}
            ]
            if not strays or time.monotonic() > deadline:
                return [f"Orphan: {process}" for process in strays]
            await asyncio.sleep(0.1)


def other_outputs(found: Outputs, expected: Outputs) -> list[str]:
    """P9: a sentence for each kind of output that is not like that of an undisturbed run."""
    return [
        f"Other {kind} than in an undisturbed run: {found[kind][0]} rows, expected {rows}."
        for kind, (rows, digest) in expected.items()
        if found[kind] != (rows, digest)
    ]


def shortfalls(landed: Sequence[Landed], planned: int) -> list[str]:
    """Why a trial proves less than its schedule says; empty if it does not."""
    sentences = []
    if len(landed) < planned:
        sentences.append(f"Only {len(landed)} of {planned} faults landed.")
    in_hand = sum(one.in_hand for one in landed)
    if in_hand < SHARE_IN_HAND * planned:
        sentences.append(f"Only {in_hand} of {planned} faults struck while there was work in hand.")
    return sentences


def _sentence(error: AssertionError) -> str:
    """What was wrong; a bare assertion says so by its own line."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return str(error) or f"{Path(where.filename).name}, line {where.lineno}: {where.line}"


def _ancestors(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.Error:
        return set()


async def undisturbed(world: World, workflow_id: str, folders: Sequence[str]) -> Outputs:
    """What the run would be if nothing happened: the same documents, after the last fault."""

    async def run(orchestrator: PipelineOrchestrator) -> Outputs:
        with suppress(WorkflowAlreadyRunning):  # by a try whose answer got lost
            await orchestrator.start(folders, workflow_id=workflow_id, options=OPTIONS)
        await orchestrator.wait(workflow_id)
        await check(orchestrator, workflow_id)
        return await outputs(orchestrator.stores.pool, workflow_id)

    found = await world.ask(run, "the undisturbed run has ended")
    assert found["documents"][0], "there is nothing to compare"
    return found
