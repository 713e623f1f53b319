"""Detects an idle child: it sleeps, and its CPU time does not advance.

The check reads the process status that Linux gives. On other systems the wall-clock limit alone ends an idle child. A
process that waits for a disk (state `D`) or for a CPU (`R`), or that was stopped by a signal (`T`), is not idle.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from perdure.errors import ParserTimedOut

_LOOKS = 4
"""Number of checks within the idle time. An idle child is detected at most a quarter of that time late."""
# Fields of /proc/PID/stat, counted after the name in parentheses.
_STATE = 0
_USER_TICKS = 11
_SYSTEM_TICKS = 12


@asynccontextmanager
async def stop_when_idle(pid: int, seconds: float) -> AsyncIterator[None]:
    """Run the body; cancel it when the process `pid` has been idle for a number of seconds.

    Raises:
        ParserTimedOut: the process was idle for that long.
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
    # The loop counts checks, not seconds: this process may itself have been stopped for minutes, and may find the
    # child's answer waiting.
    last_ticks: int | None = None
    idle_looks = 0
    while idle_looks < _LOOKS:
        await asyncio.sleep(seconds / _LOOKS)
        ticks = _read_cpu_ticks(pid)
        idle_looks = idle_looks + 1 if ticks is not None and ticks == last_ticks else 0
        last_ticks = ticks
    overdue.reschedule(asyncio.get_running_loop().time())


def _read_cpu_ticks(pid: int) -> int | None:
    """Return the process's CPU time in clock ticks; None unless the process sleeps."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]) if fields[_STATE] == "S" else None
