"""The end of a child becomes the fault of its document, of the machine, or of the pool."""

import signal

import pytest

from perdure.errors import DependencyUnavailable, ParserCrashed, ParserKilled, ParserOutOfMemory, ParserTimedOut
from perdure.sandbox.child_exit import explain_exit
from perdure.sandbox.limits import ProcessLimits


@pytest.mark.parametrize(
    ("exit_code", "errors", "error"),
    [
        (None, "", DependencyUnavailable),
        (-signal.SIGXCPU, "", ParserTimedOut),
        (-signal.SIGXCPU, "out of memory", ParserTimedOut),
        (-signal.SIGKILL, "", ParserKilled),
        (-signal.SIGABRT, "", ParserOutOfMemory),
        (-signal.SIGABRT, "terminate called after std::bad_alloc", ParserOutOfMemory),
        (-signal.SIGABRT, "free(): invalid pointer", ParserCrashed),
        (-signal.SIGSEGV, "", ParserCrashed),
        (1, "MemoryError", ParserOutOfMemory),
        (0, "", ParserCrashed),
    ],
)
def test_end_of_a_child_has_its_cause(exit_code: int | None, errors: str, error: type[Exception]) -> None:
    assert type(explain_exit(exit_code, errors, ProcessLimits())) is error
