"""What every child process of a worker owes to it: to end with it, and to leave signals to it."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = b"500"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as the thread that started it is gone; Linux only.

    Elsewhere a child ends when it next reads from its closed socket.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def leave_signals_to_parent() -> None:
    """Ctrl-C and a supervisor's SIGTERM reach the whole group of processes, but the worker decides what they mean."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def die_before_parent() -> None:
    """When the machine's memory runs out, have the kernel kill this process rather than the worker; Linux only."""
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "wb") as score:  # noqa: PTH123 - as light as it can be
            score.write(_OOM_SCORE)
