"""Turns the end of a child into the error of the document that it was reading."""

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
from perdure.sandbox.forked_child import POOL
from perdure.sandbox.limits import MEGABYTE, ProcessLimits

_OUT_OF_MEMORY = re.compile(r"memory allocation|out of memory|bad_alloc|cannot allocate|memoryerror", re.IGNORECASE)


def explain_exit(exit_code: int | None, errors: str, limits: ProcessLimits) -> ParserFailure | DependencyUnavailable:
    """Return the error of a document whose child ended without an answer.

    Args:
        exit_code: the exit code; a negative number names a signal; None if the fork server is gone.
        errors: the end of the child's output to standard error.
        limits: the limits of the child.
    """
    if exit_code is None:
        return DependencyUnavailable(POOL, "its fork server is gone")
    if exit_code == -signal.SIGXCPU:
        return ParserTimedOut("The parser used up the processor time that a document may take, and was stopped.")
    if exit_code == -signal.SIGKILL:
        return ParserKilled(
            "The parser was killed from outside (SIGKILL), perhaps because the machine's memory ran out."
        )
    # PDFium aborts without a message when an allocation fails. Every other library writes a message before it aborts.
    if _OUT_OF_MEMORY.search(errors) or (exit_code == -signal.SIGABRT and not errors.strip()):
        return out_of_memory(limits)
    if exit_code < 0:
        return ParserCrashed(f"The parser crashed ({signal.Signals(-exit_code).name}).")
    return ParserCrashed(f"The parser ended without an answer (exit code {exit_code}).")


def out_of_memory(limits: ProcessLimits) -> ParserOutOfMemory:
    """Return the error of a document whose parser needed more memory than its limit."""
    return ParserOutOfMemory(
        f"The parser needed more than its limit of {limits.memory_bytes // MEGABYTE} MB of memory."
    )
