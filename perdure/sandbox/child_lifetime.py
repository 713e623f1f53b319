"""Ends a child process with its worker, and makes the child ignore stop signals."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = b"500"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; Linux only.

    On other systems a child ends at its next read, because the worker's end closes the socket.

    Args:
        parent: process id of the parent. If the parent has ended already, this process exits at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the prctl call, which then never takes effect
        os._exit(1)


def ignore_stop_signals() -> None:
    """Ignore SIGINT and SIGTERM.

    Ctrl-C and a supervisor's SIGTERM reach every process of the group, but the worker decides when its children end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def prefer_as_oom_victim() -> None:
    """Have the kernel kill this process before the worker when memory runs out; Linux only."""
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "wb") as score:  # noqa: PTH123 - pathlib costs more at every fork
            score.write(_OOM_SCORE)
