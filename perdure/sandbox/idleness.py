"""Notice a child that waits for nothing: it sleeps, and its CPU time does not advance.

Measured by what the kernel says of the process, Linux only; elsewhere the wall-clock limit is all there is. A process
that waits for a disk (`D`), for a processor on a busy machine (`R`), or that somebody has stopped (`T`) is not idle.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from perdure.errors import ParserTimedOut

_LOOKS = 4
"""In the time that it may be idle, so that it is noticed at most a quarter late."""
_STATE, _USER, _SYSTEM = 0, 11, 12
"""Fields of /proc/PID/stat, counted after the name in parentheses."""


@asynccontextmanager
async def unless_idle(pid: int, seconds: float) -> AsyncIterator[None]:
    """Run the body; it is given up when the process has been idle for so many seconds.

    Raises:
        ParserTimedOut: it has.
    """
    overdue = asyncio.timeout(None)
    watching = asyncio.ensure_future(_watch(pid, seconds, overdue))
    try:
        async with overdue:
            yield
    except TimeoutError as error:
        if not overdue.expired():
            raise
        raise ParserTimedOut(f"The parser slept for {seconds:g} seconds, doing nothing, and was stopped.") from error
    finally:
        watching.cancel()


async def _watch(pid: int, seconds: float, overdue: asyncio.Timeout) -> None:
    # Looks are counted, not seconds: this process itself may have been stopped for minutes, the answer lying there.
    used, idle_looks = None, 0
    while idle_looks < _LOOKS:
        await asyncio.sleep(seconds / _LOOKS)
        seen = _cpu_ticks_of_sleeper(pid)
        idle_looks = idle_looks + 1 if seen is not None and seen == used else 0
        used = seen
    overdue.reschedule(asyncio.get_running_loop().time())


def _cpu_ticks_of_sleeper(pid: int) -> int | None:
    """CPU time that the process has used, in clock ticks; None unless it sleeps."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return int(fields[_USER]) + int(fields[_SYSTEM]) if fields[_STATE] == "S" else None
