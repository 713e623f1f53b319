"""Ends what a test session leaves behind when the session itself was killed: it waits for the end of its input.

Every process that a session starts inherits the session's mark in its environment, and is known by it.
"""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

import psutil

# Of all names one like this goes on to the processes that read documents, which get little of the environment.
MARK = "LC_PERDURE_TEST_SESSION"


def marked_processes(mark: str) -> list[psutil.Process]:
    """All processes that carry the mark, this one and its ancestors excepted."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid in spared or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def kill_marked(mark: str) -> list[str]:
    """Kill them all; returns their command lines."""
    killed = []
    for _ in range(10):  # what is being killed may be starting others
        processes = marked_processes(mark)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                killed.append(" ".join(process.cmdline()))
                process.kill()
        if not processes:
            break
        time.sleep(0.1)
    return killed


if __name__ == "__main__":
    sys.stdin.read()
    kill_marked(os.environ[MARK])
    shutil.rmtree(Path(sys.argv[1]), ignore_errors=True)
