# ruff: noqa: INP001 -- a script that the container runs by its path; `ops` is configuration, not a package
"""Check the worker of this container: exit code 0 if it is alive, else 1 and a sentence that names the fault.

A live worker holds a lock file of the data folder open. The workers of all containers share the folder, and each
container has its own table of processes: the process of this table that has a lock file open is the worker of this
container. The program uses the standard library only, because the container starts it every few seconds.
"""

import os
import sys
from pathlib import Path

RUNNING = {"R", "S", "D"}
"""The states of proc(5) in which a process runs or waits; a stopped process and a zombie have other states."""


def find_worker(slots: Path, processes: Path = Path("/proc")) -> int | None:
    """Return the process id of the worker in this table of processes, None if there is none."""
    for process in sorted(processes.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            opened = [file.readlink() for file in (process / "fd").iterdir()]
        except OSError:  # the process has just ended, or belongs to another user
            continue
        if any(path.parent == slots and path.suffix == ".lock" for path in opened):
            return int(process.name)
    return None


def main() -> str | None:
    """Return a sentence that names the fault; None if the worker is alive."""
    slots = Path(os.environ["PERDURE_DATA_DIR"]).resolve() / "workers"
    pid = find_worker(slots)
    if pid is None:
        return f"no process holds a worker's slot in {slots}"
    try:
        # The file has the name of the program in parentheses; the name may hold spaces and parentheses too.
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return f"the worker, process {pid}, has just ended"
    return None if state in RUNNING else f"the worker, process {pid}, is in state {state}"


if __name__ == "__main__":
    sys.exit(main())
