"""A supervisor whose workers follow a plan, one step a worker.

Run `supervised_program.py FOLDER STEP...`. Time is counted in the file `clock` of the folder, so that a test does not
wait for it. Each question for the time takes `TICK` seconds, and none while the file `frozen` exists. The step
`live:SECONDS` takes that many seconds. The file `starts` has a line for each worker: its process id, the time of its
start, and whether it got a living fork server.

| step | the worker |
| --- | --- |
| `fail:REASON` | reports a reason and ends with exit code 3 |
| `live:SECONDS` | lives for this time and is killed |
| `lose-zygote` | kills the zygote and itself |
| `done` | ends with exit code 0 |
| `wait` | makes the file `ready`, waits for SIGTERM, makes the file `stopped`, and ends with exit code 0 |
| `stubborn` | makes the file `ready`, and at SIGTERM the file `stopped`; it does not end |

With the environment variable `FOLLOW_PARENT`, the supervisor stops when the process that started it is gone.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

from orchestration.worker import supervisor
from perdure.sandbox.fork_server import ForkServer, Zygote
from tests.unit.sandbox.jobs import LOAD_NOTHING

TICK = 0.05


class Workers:
    """The workers of one supervisor; beyond the plan, each worker is killed at its start."""

    def __init__(self, folder: Path, plan: list[str]) -> None:
        self.zygote = Zygote(LOAD_NOTHING)
        self._folder = folder
        self._plan = plan
        self._clock = folder / "clock"
        self._clock.write_text("0")
        self._starts = folder / "starts"
        self._starts.touch()

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self._advance(0.0 if (self._folder / "frozen").exists() else TICK)

    def run(self, fork_server: ForkServer | None, tell: Callable[[str], None]) -> NoReturn:
        """Act as the next worker."""
        number = len(self._starts.read_text().splitlines())
        with self._starts.open("a") as file:
            alive = fork_server is not None and fork_server.is_alive()
            file.write(f"{os.getpid()} {self._clock.read_text()} {alive}\n")
        kind, _, argument = self._plan[number].partition(":") if number < len(self._plan) else ("live", "", "0")
        if kind == "fail":
            tell(argument)
            os._exit(3)
        if kind == "done":
            os._exit(0)
        if kind in ("wait", "stubborn"):
            self._wait(ends=kind == "wait")
        if kind == "lose-zygote":
            os.kill(self.zygote.pid, signal.SIGKILL)
        self._advance(float(argument or 0))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process does not go on")

    def _wait(self, *, ends: bool) -> NoReturn:
        def stop(*_: object) -> None:
            (self._folder / "stopped").touch()
            if ends:
                os._exit(0)

        signal.signal(signal.SIGTERM, stop)
        (self._folder / "ready").touch()
        while True:
            signal.pause()

    def _advance(self, seconds: float) -> float:
        self._clock.write_text(str(float(self._clock.read_text()) + seconds))
        return float(self._clock.read_text())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    workers = Workers(Path(sys.argv[1]), sys.argv[2:])
    supervisor.time = SimpleNamespace(monotonic=workers.monotonic)  # type: ignore[assignment,attr-defined]
    supervisor.LOOK_EVERY_SECONDS = 0.001
    parent = os.getppid() if os.environ.get("FOLLOW_PARENT") else None
    os._exit(supervisor.Supervisor(workers.run, workers.zygote, parent).run())
