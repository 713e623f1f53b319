"""What each kind of fault does to the world: it strikes on entering, and is undone on leaving.

Each makes sure that it landed: that the process is really dead or stopped, that there were connections to cut, that the
disk is really full. One that finds no target within some seconds fails the session: a schedule that does less than it
says would prove less than it says.
"""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from operator import attrgetter

import psutil

from orchestration.embedded.record import PostgresRecord, TemporalRecord
from tests.chaos.harness.disk import fill
from tests.chaos.harness.schedule import Fault
from tests.chaos.harness.world import World, is_alive
from tests.proxy import Proxy

TARGET_SECONDS = 30.0
"""How long to wait for something that can be struck: a worker may just be on its way back."""
LAND_SECONDS = 5.0
COMMITS_LOST = 0.2
POSTGRES, TEMPORAL = attrgetter("postgres"), attrgetter("temporal")

Carried = AbstractAsyncContextManager[None]


class MissedTarget(AssertionError):
    """The fault could not be carried out."""


async def target(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> psutil.Process:
    """One of those there are, chosen by the schedule; waits until there is one."""
    deadline = time.monotonic() + TARGET_SECONDS
    while not (found := candidates()):
        if time.monotonic() > deadline:
            raise MissedTarget(f"{fault.kind}: there was nothing to strike for {TARGET_SECONDS:.0f} s")
        await asyncio.sleep(0.02)
    return found[int(fault.pick * len(found))]


async def kill(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> None:
    """SIGKILL; one that ended by itself in that instant was missed, and another is chosen."""
    while True:
        process = await target(fault, candidates)
        with suppress(psutil.NoSuchProcess):
            process.kill()
            break
    await _until(lambda: not is_alive(process), f"{fault.kind}: it is dead")


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP until the end of the block, if it lives for so long."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


async def stop(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> AsyncIterator[None]:
    while True:
        process = await target(fault, candidates)
        with suppress(psutil.NoSuchProcess), stopped(process):
            await _until(partial(_stands_still, process), f"{fault.kind}: it stands still")
            if is_alive(process):
                yield
                return


def _stands_still(process: psutil.Process) -> bool:
    return not is_alive(process) or process.status() == psutil.STATUS_STOPPED


async def _until(condition: Callable[[], bool], what: str, seconds: float = LAND_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MissedTarget(f"waited in vain until {what}")
        await asyncio.sleep(0.01)


def workers(world: World) -> list[psutil.Process]:
    return _alive(world.worker_pids())


def supervisors(world: World) -> list[psutil.Process]:
    return _alive([worker.process.pid for worker in world.workers])


def server(world: World, which: Callable[[World], PostgresRecord | TemporalRecord]) -> list[psutil.Process]:
    found = which(world)
    return _alive([found.process.pid]) if found.process and found.running else []


def temporal_server(world: World) -> list[psutil.Process]:
    return server(world, TEMPORAL)


def _alive(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if is_alive(process):
                found.append(process)
    return found


@asynccontextmanager
async def kill_one(
    world: World, fault: Fault, candidates: Callable[[World], Sequence[psutil.Process]]
) -> AsyncIterator[None]:
    await kill(fault, partial(candidates, world))
    yield


@asynccontextmanager
async def stop_one(
    world: World, fault: Fault, candidates: Callable[[World], Sequence[psutil.Process]]
) -> AsyncIterator[None]:
    async for _ in stop(fault, partial(candidates, world)):
        yield


@asynccontextmanager
async def kill_server(
    world: World, fault: Fault, which: Callable[[World], PostgresRecord | TemporalRecord]
) -> AsyncIterator[None]:
    await kill(fault, lambda: server(world, which))
    try:
        yield
    finally:
        await world.up()


@asynccontextmanager
async def kill_supervisor(world: World, fault: Fault) -> AsyncIterator[None]:
    """Another takes its place, as a service manager would see to; its worker finishes what it has, and ends."""
    process = await target(fault, partial(supervisors, world))
    victim = next(worker for worker in world.workers if worker.process.pid == process.pid)
    victim.kill()
    try:
        yield
    finally:
        world.bring_back(victim)


@asynccontextmanager
async def stop_backends(world: World, fault: Fault) -> AsyncIterator[None]:
    """Every process of Postgres that serves somebody, as if the machine had stalled."""
    await target(fault, world.backends)
    found = world.backends()
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@asynccontextmanager
async def cut(world: World, fault: Fault, proxy: Callable[[World], Proxy]) -> AsyncIterator[None]:
    """Until it is mended every connection is reset; it is cut again until there was one."""
    deadline = time.monotonic() + TARGET_SECONDS
    while not proxy(world).cut():
        proxy(world).mend()
        if time.monotonic() > deadline:
            raise MissedTarget(f"{fault.kind}: nobody was connected")
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        proxy(world).mend()


@asynccontextmanager
async def stall(world: World, fault: Fault, proxy: Callable[[World], Proxy]) -> AsyncIterator[None]:
    await _until(lambda: bool(proxy(world).connections), f"{fault.kind}: somebody is connected", TARGET_SECONDS)
    proxy(world).fall_silent()
    try:
        yield
    finally:
        proxy(world).speak()


@asynccontextmanager
async def lose_commits(world: World, fault: Fault) -> AsyncIterator[None]:
    """A share of the commits reach Postgres and their answers get lost; stays until at least one did."""
    proxy = world.to_postgres
    before, proxy.lose_commits = proxy.lost, COMMITS_LOST
    deadline = time.monotonic() + TARGET_SECONDS
    try:
        yield
        while proxy.lost == before:
            if time.monotonic() > deadline:
                raise MissedTarget(f"{fault.kind}: nothing was committed")
            await asyncio.sleep(0.02)
    finally:
        proxy.lose_commits = 0.0


@asynccontextmanager
async def fill_disk(world: World, fault: Fault) -> AsyncIterator[None]:
    """Not a byte is left for databases, checkpoint files or logs; who dies of that is started again afterwards."""
    filler, probe = world.data_dir / "filler", world.data_dir / "probe"
    await asyncio.to_thread(fill, filler)
    try:
        try:
            probe.write_bytes(b"x" * 65536)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        else:
            raise MissedTarget(f"{fault.kind}: there was room left")
        yield
    finally:
        filler.unlink()
        probe.unlink(missing_ok=True)
        await world.up()


@asynccontextmanager
async def stop_service(world: World, fault: Fault) -> AsyncIterator[None]:  # noqa: ARG001
    await world.service.close()
    try:
        yield
    finally:
        await world.service.open()


CARRY_OUT: dict[str, Callable[[World, Fault], Carried]] = {
    "kill worker": partial(kill_one, candidates=workers),
    "kill supervisor": kill_supervisor,
    "kill zygote": partial(kill_one, candidates=World.zygotes),
    "kill pool child": partial(kill_one, candidates=World.pool_children),
    "stop worker": partial(stop_one, candidates=workers),
    "stop pool child": partial(stop_one, candidates=World.pool_children),
    "kill Temporal": partial(kill_server, which=TEMPORAL),
    "stop Temporal": partial(stop_one, candidates=temporal_server),
    "kill Postgres": partial(kill_server, which=POSTGRES),
    "kill backend": partial(kill_one, candidates=World.backends),
    "stop backends": stop_backends,
    "cut Temporal": partial(cut, proxy=attrgetter("to_temporal")),
    "cut Postgres": partial(cut, proxy=attrgetter("to_postgres")),
    "stall Temporal": partial(stall, proxy=attrgetter("to_temporal")),
    "stall Postgres": partial(stall, proxy=attrgetter("to_postgres")),
    "lose commits": lose_commits,
    "fill disk": fill_disk,
    "stop service": stop_service,
}
"""Kind to what it does; `schedule.KINDS` has the same names."""
