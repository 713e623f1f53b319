"""The command line of the worker: `python worker.py`, `perdure worker`, `python -m orchestration.program.launch`.

The module imports little, so that the parsers begin to load before the rest of the worker does.
"""

import argparse
import os
from collections.abc import Sequence

from perdure.documents.warm_up import WARM_UP
from perdure.sandbox.fork_server import Zygote


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one worker until SIGTERM or Ctrl-C, and leave the process with its exit code.

    Args:
        arguments: of the command line, without the program's name; those of this process if not given.
    """
    parser = argparse.ArgumentParser(description="Run one Perdure worker until SIGTERM or Ctrl-C.")
    parser.add_argument("--supervise", action="store_true", help="start a new worker whenever the worker dies")
    parser.add_argument(
        "--exit-with-parent",
        nargs="?",
        type=int,
        const=os.getppid(),
        metavar="PID",
        help="stop when the process that started this one is gone",
    )
    parsed = parser.parse_args(arguments)
    # Loading the parsers takes longest, and a run waits for a worker that comes back. So the zygote starts first.
    zygote = Zygote(WARM_UP)
    # numpy starts its threads as soon as it is loaded. The worker has no use for them, and a supervisor forks, so it
    # must have one thread only.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from orchestration.program.run import run_program  # noqa: PLC0415 - loaded while the parsers load

    run_program(zygote, supervise=parsed.supervise, parent=parsed.exit_with_parent)


if __name__ == "__main__":
    main()
