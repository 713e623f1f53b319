# ruff: noqa: INP001 -- a script that the container runs by its path; `ops` is configuration, not a package
"""Is the worker of this container alive? Exit code 0 if so, else 1 and one sentence why.

A worker holds a lock file in the data folder open for as long as it lives. The folder is shared by the workers of
all containers, the table of processes is not: so the process that has one of those files open is ours. Standard
library only, since this is started every few seconds.
"""

import os
import sys
from pathlib import Path

RUNNING = {"R", "S", "D"}
"""Process states, as in proc(5), in which a process does or awaits work; not stopped, not a zombie."""


def holder(slots: Path, processes: Path = Path("/proc")) -> int | None:
    """The process id of the worker in this process table, None if there is none."""
    for process in sorted(processes.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            opened = [file.readlink() for file in (process / "fd").iterdir()]
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
        if any(path.parent == slots and path.suffix == ".lock" for path in opened):
            return int(process.name)
    return None


def main() -> str | None:
    """What is wrong, in one sentence; None if all is well."""
    slots = Path(os.environ["PERDURE_DATA_DIR"]).resolve() / "workers"
    pid = holder(slots)
    if pid is None:
        return f"no process holds a worker's slot in {slots}"
    try:
        # The name stands in parentheses and may itself hold spaces and parentheses.
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return f"the worker, process {pid}, has just ended"
    return None if state in RUNNING else f"the worker, process {pid}, is in state {state}"


if __name__ == "__main__":
    sys.exit(main())
