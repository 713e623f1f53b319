"""The kinds of faults, each as a context manager that injects a fault and undoes it.

Each fault checks that it took effect: the process is dead or stopped, a connection was cut, the disk is full. A fault
without a target within `TARGET_SECONDS` raises `MissedTarget` and fails the session, because a session with fewer
faults than planned proves less than its report claims.
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

TARGET_SECONDS = 90.0
"""Longest wait for a target. A killed worker needs some seconds to start again, and more on a busy machine."""
EFFECT_SECONDS = 5.0
"""Longest wait until a signal has taken effect."""
LOST_COMMIT_SHARE = 0.2
POSTGRES = attrgetter("postgres")
TEMPORAL = attrgetter("temporal")

FaultContext = AbstractAsyncContextManager[None]


class MissedTarget(AssertionError):
    """The fault could not be carried out."""


async def find_target(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> psutil.Process:
    """Return the candidate that `fault.pick` selects; waits until a candidate exists.

    Raises:
        MissedTarget: no candidate appeared within `TARGET_SECONDS`.
    """
    deadline = time.monotonic() + TARGET_SECONDS
    while not (processes := candidates()):
        if time.monotonic() > deadline:
            raise MissedTarget(f"{fault.kind}: no target appeared within {TARGET_SECONDS:.0f} s")
        await asyncio.sleep(0.02)
    return processes[int(fault.pick * len(processes))]


async def kill(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> None:
    """Kill a candidate by SIGKILL.

    If the candidate ended by itself before the signal, the function chooses another.
    """
    while True:
        process = await find_target(fault, candidates)
        with suppress(psutil.NoSuchProcess):
            process.kill()
            break
    await _until(lambda: not is_alive(process), f"{fault.kind}: the process is dead")


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Stop a process by SIGSTOP until the end of the block; the process may be killed before."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


async def stop(fault: Fault, candidates: Callable[[], Sequence[psutil.Process]]) -> AsyncIterator[None]:
    """Stop a candidate by SIGSTOP, yield, and continue it.

    If the candidate ended before it stopped, the function chooses another.
    """
    while True:
        process = await find_target(fault, candidates)
        with suppress(psutil.NoSuchProcess), stopped(process):
            await _until(partial(_is_dead_or_stopped, process), f"{fault.kind}: the process is stopped")
            if is_alive(process):
                yield
                return


def _is_dead_or_stopped(process: psutil.Process) -> bool:
    return not is_alive(process) or process.status() == psutil.STATUS_STOPPED


async def _until(condition: Callable[[], bool], what: str, seconds: float = EFFECT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MissedTarget(f"{what}: not true after {seconds:.0f} s")
        await asyncio.sleep(0.01)


def list_workers(world: World) -> list[psutil.Process]:
    """Return the live processes that poll for work."""
    return _list_alive(world.list_worker_pids())


def list_supervisors(world: World) -> list[psutil.Process]:
    """Return the live supervisors."""
    return _list_alive([worker.process.pid for worker in world.workers])


def list_server(world: World, which: Callable[[World], PostgresRecord | TemporalRecord]) -> list[psutil.Process]:
    """Return the process of a server, in a list; the list is empty while the server is dead."""
    record = which(world)
    return _list_alive([record.process.pid]) if record.process and record.running else []


def list_temporal_server(world: World) -> list[psutil.Process]:
    """Return the process of the Temporal server, in a list."""
    return list_server(world, TEMPORAL)


def _list_alive(pids: Sequence[int]) -> list[psutil.Process]:
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if is_alive(process):
                processes.append(process)
    return processes


@asynccontextmanager
async def kill_one(
    world: World, fault: Fault, candidates: Callable[[World], Sequence[psutil.Process]]
) -> AsyncIterator[None]:
    """Kill one candidate; its supervisor or zygote replaces it."""
    await kill(fault, partial(candidates, world))
    yield


@asynccontextmanager
async def stop_one(
    world: World, fault: Fault, candidates: Callable[[World], Sequence[psutil.Process]]
) -> AsyncIterator[None]:
    """Stop one candidate by SIGSTOP, and continue it on leaving."""
    async for _ in stop(fault, partial(candidates, world)):
        yield


@asynccontextmanager
async def kill_server(
    world: World, fault: Fault, which: Callable[[World], PostgresRecord | TemporalRecord]
) -> AsyncIterator[None]:
    """Kill a server, and start it again on leaving."""
    await kill(fault, lambda: list_server(world, which))
    try:
        yield
    finally:
        await world.up()


@asynccontextmanager
async def kill_supervisor(world: World, fault: Fault) -> AsyncIterator[None]:
    """Kill a supervisor, and start a new one on leaving, as a service manager does.

    The worker of the killed supervisor finishes its activities and ends.
    """
    process = await find_target(fault, partial(list_supervisors, world))
    victim = next(worker for worker in world.workers if worker.process.pid == process.pid)
    victim.kill()
    try:
        yield
    finally:
        world.replace_supervisor(victim)


@asynccontextmanager
async def stop_backends(world: World, fault: Fault) -> AsyncIterator[None]:
    """Stop every Postgres process that serves a connection, and continue them on leaving."""
    await find_target(fault, world.list_backends)
    backends = world.list_backends()
    for process in backends:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in backends:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@asynccontextmanager
async def cut(world: World, fault: Fault, proxy: Callable[[World], Proxy]) -> AsyncIterator[None]:
    """Reset all connections through a proxy until the block ends.

    The reset is repeated until at least one connection was open.
    """
    deadline = time.monotonic() + TARGET_SECONDS
    while not proxy(world).cut():
        proxy(world).mend()
        if time.monotonic() > deadline:
            raise MissedTarget(f"{fault.kind}: the proxy had no connection for {TARGET_SECONDS:.0f} s")
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        proxy(world).mend()


@asynccontextmanager
async def stall(world: World, fault: Fault, proxy: Callable[[World], Proxy]) -> AsyncIterator[None]:
    """Keep the connections through a proxy open, but forward no data until the block ends."""
    await _until(lambda: bool(proxy(world).connections), f"{fault.kind}: the proxy has a connection", TARGET_SECONDS)
    proxy(world).fall_silent()
    try:
        yield
    finally:
        proxy(world).speak()


@asynccontextmanager
async def lose_commits(world: World, fault: Fault) -> AsyncIterator[None]:
    """Drop the answers to a share of the commits; ends when at least one answer was dropped.

    Postgres makes these commits, but their callers lose the connection.
    """
    proxy = world.to_postgres
    before = proxy.lost
    proxy.lose_commits = LOST_COMMIT_SHARE
    deadline = time.monotonic() + TARGET_SECONDS
    try:
        yield
        proxy.lose_commits = 1.0  # the next answer to a commit is dropped, so that the fault is carried out
        while proxy.lost == before:
            if time.monotonic() > deadline:
                raise MissedTarget(f"{fault.kind}: no answer to a commit was dropped within {TARGET_SECONDS:.0f} s")
            await asyncio.sleep(0.02)
    finally:
        proxy.lose_commits = 0.0


@asynccontextmanager
async def fill_disk(world: World, fault: Fault) -> AsyncIterator[None]:
    """Fill the disk of the data folder; on leaving, start the servers that died."""
    filler = world.data_dir / "filler"
    probe = world.data_dir / "probe"
    await asyncio.to_thread(fill, filler)
    try:
        try:
            probe.write_bytes(b"x" * 65536)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        else:
            raise MissedTarget(f"{fault.kind}: a probe of 64 KiB could still be written")
        yield
    finally:
        filler.unlink()
        probe.unlink(missing_ok=True)
        await world.up()


@asynccontextmanager
async def stop_service(world: World, fault: Fault) -> AsyncIterator[None]:  # noqa: ARG001
    """Close the watched web service, and open it again on leaving."""
    await world.service.close()
    try:
        yield
    finally:
        await world.service.open()


CARRY_OUT: dict[str, Callable[[World, Fault], FaultContext]] = {
    "kill worker": partial(kill_one, candidates=list_workers),
    "kill supervisor": kill_supervisor,
    "kill zygote": partial(kill_one, candidates=World.list_zygotes),
    "kill pool child": partial(kill_one, candidates=World.list_pool_children),
    "stop worker": partial(stop_one, candidates=list_workers),
    "stop pool child": partial(stop_one, candidates=World.list_pool_children),
    "kill Temporal": partial(kill_server, which=TEMPORAL),
    "stop Temporal": partial(stop_one, candidates=list_temporal_server),
    "kill Postgres": partial(kill_server, which=POSTGRES),
    "kill backend": partial(kill_one, candidates=World.list_backends),
    "stop backends": stop_backends,
    "cut Temporal": partial(cut, proxy=attrgetter("to_temporal")),
    "cut Postgres": partial(cut, proxy=attrgetter("to_postgres")),
    "stall Temporal": partial(stall, proxy=attrgetter("to_temporal")),
    "stall Postgres": partial(stall, proxy=attrgetter("to_postgres")),
    "lose commits": lose_commits,
    "fill disk": fill_disk,
    "stop service": stop_service,
}
"""Kind of fault to the function that carries it out; `schedule.KINDS` has the same names."""
