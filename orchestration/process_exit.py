"""The end of every program: close, flush, and exit with the fitting code.

A process that has used the Temporal client may abort while Python shuts down ("PyGILState_Release …", exit code
134; sdk-python issue 300), after all its work is done. So no program here lets Python shut down: once everything is
closed and flushed, the process ends through `os._exit`.

| code | meaning |
| --- | --- |
| 0 | success |
| 1 | the run ended with another status than completed, a check found a difference, or an unexpected error occurred |
| 2 | the command was refused, or could not be carried out |
| 130, 143 | interrupted by Ctrl-C, or by SIGTERM |
| 141 | the reader of the output closed its end |
"""

import asyncio
import errno
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from temporalio.service import RPCError, RPCStatusCode

from orchestration.settings import data_dir_from
from perdure.errors import PerdureError

REFUSED = 2
UNFORESEEN = 1
INTERRUPTED = 130
TERMINATED = 143
OUTPUT_GONE = 141


def run_main(main: Callable[[], Awaitable[int | None]], *, tell: Callable[[str], None] | None = None) -> NoReturn:
    """Run a program's main function, and leave with its exit code or that of its failure.

    SIGTERM and Ctrl-C cancel `main`, which then closes its connections, without a time limit. A program can install its
    own signal handlers instead. With PERDURE_DEBUG=1 every failure shows its traceback.

    Args:
        main: the program; returns its exit code, None for 0.
        tell: called with the sentence about a failure, in addition to stderr.
    """
    terminated = False

    async def guarded() -> int | None:
        task = asyncio.current_task()
        assert task is not None

        def on_terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_terminate)
        return await main()

    try:
        code = asyncio.run(guarded()) or 0
    except asyncio.CancelledError:
        code = TERMINATED if terminated else INTERRUPTED
    except BaseException as error:  # noqa: BLE001  no later code could report the error
        code = explain(error, tell)
    leave(code)


def leave(code: int) -> NoReturn:
    """Flush the output and end the process at once."""
    logging.shutdown()
    try:
        sys.stdout.flush()
    except PerdureError as error:  # the disk under a redirected stdout is full, or stdout is closed
        if code != REFUSED:  # with REFUSED, the same sentence has been written already
            explain(error)
        code = code or REFUSED
    except (OSError, ValueError):
        code = code or OUTPUT_GONE
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def explain(error: BaseException, tell: Callable[[str], None] | None = None) -> int:
    """Write one sentence about an error to stderr and to `tell`; return the exit code."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return OUTPUT_GONE
    if os.environ.get("PERDURE_DEBUG") == "1":
        traceback.print_exception(error)
    sentence, code = _sentence(error)
    if tell:
        tell(sentence)
    with suppress(OSError, ValueError):  # stderr may be closed
        sys.stderr.write(f"{sentence}\n")
    return code


def _sentence(error: BaseException) -> tuple[str, int]:
    if isinstance(error, PerdureError):
        return str(error), REFUSED
    if isinstance(error, RPCError) and error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED):
        return f"The Temporal server became unavailable: {_one_line(error)}.", REFUSED
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" for {error.filename}" if error.filename else ""
        return (
            f"The disk is full{where}. Free some space, or set PERDURE_DATA_DIR to another disk.",
            REFUSED,
        )
    what = f"{type(error).__name__}: {_one_line(error)}"
    return f"An unexpected error occurred ({what}); the details are in {_write_down(error)}", UNFORESEEN


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "no reason given"


def _write_down(error: BaseException) -> Path:
    """Append the traceback to the data folder's log, and return the path of the log.

    Without a data folder, the traceback goes into a temporary file.
    """
    report = f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n{''.join(traceback.format_exception(error))}\n"
    try:
        folder = data_dir_from() / "logs"
        if not folder.parent.is_dir():
            raise FileNotFoundError(folder)
        folder.mkdir(exist_ok=True)
        path = folder / "errors.log"
        with path.open("a") as log:
            log.write(report)
    except (OSError, PerdureError):
        descriptor, name = tempfile.mkstemp(prefix="perdure-error-", suffix=".log", text=True)
        with os.fdopen(descriptor, "w") as log:
            log.write(report)
        return Path(name)
    return path
