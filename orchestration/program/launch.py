"""The command line of the worker.

`python worker.py`, `perdure worker` and `python -m orchestration.program.launch` are the same command.

The module imports little, so that the parsers begin to load before the rest of the worker is imported.
"""

import argparse
import os
from collections.abc import Sequence

from perdure.documents.warm_up import WARM_UP
from perdure.sandbox.fork_server import Zygote


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one worker until SIGTERM or Ctrl-C, and leave the process with its exit code.

    Args:
        arguments: the command line without the program's name; by default that of this process.
    """
    parser = argparse.ArgumentParser(description="Run one Perdure worker until SIGTERM or Ctrl-C.")
    parser.add_argument("--supervise", action="store_true", help="start a new worker whenever the worker dies")
    parser.add_argument(
        "--exit-with-parent",
        nargs="?",
        type=int,
        const=os.getppid(),
        metavar="PID",
        help="stop when the parent process has ended",
    )
    parsed = parser.parse_args(arguments)
    # Loading the parsers takes longest, and a run waits for its new worker. So the zygote starts first.
    zygote = Zygote(WARM_UP)
    # numpy starts threads as soon as it is imported. The worker does not use these threads, and a supervisor must have
    # only one thread, because it forks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from orchestration.program.run import run_program  # noqa: PLC0415 - loaded while the parsers load

    run_program(zygote, supervise=parsed.supervise, parent=parsed.exit_with_parent)


if __name__ == "__main__":
    main()
