"""What the end of a reading process means for the document that it had in hand."""

import re
import signal

from perdure.errors import (
    DependencyUnavailable,
    ParserCrashed,
    ParserFailure,
    ParserKilled,
    ParserOutOfMemory,
    ParserTimedOut,
)
from perdure.sandbox.fork_server import POOL
from perdure.sandbox.limits import Limits

_OUT_OF_MEMORY = re.compile(r"memory allocation|out of memory|bad_alloc|cannot allocate|memoryerror", re.IGNORECASE)


def failure_of(exit_code: int | None, said: str, limits: Limits) -> ParserFailure | DependencyUnavailable:
    """Of a child that ended without an answer: by its exit code, None if nobody knows it, and the last that it said."""
    if exit_code is None:
        return DependencyUnavailable(POOL, "its fork server is gone")
    if exit_code == -signal.SIGXCPU:
        return ParserTimedOut("The parser used up the processor time that a document may take, and was stopped.")
    if exit_code == -signal.SIGKILL:
        return ParserKilled(
            "The parser was killed from outside (SIGKILL), perhaps because the machine's memory ran out."
        )
    # PDFium aborts without a word when memory is refused to it; every other library says what it aborts for.
    if _OUT_OF_MEMORY.search(said) or (exit_code == -signal.SIGABRT and not said.strip()):
        return ParserOutOfMemory(
            f"The parser needed more than its limit of {limits.memory_bytes // 2**20} MB of memory."
        )
    if exit_code < 0:
        return ParserCrashed(f"The parser crashed ({signal.Signals(-exit_code).name}).")
    return ParserCrashed(f"The parser ended without an answer (exit code {exit_code}).")
