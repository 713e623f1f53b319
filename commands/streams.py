"""Makes the three standard streams usable, even if the calling shell closed some of them.

A shell may start a program with stdin, stdout or stderr closed (`perdure list >&-`). The kernel gives the number of
the closed stream to the next file or socket that the program opens, and the output would go into that file or socket.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, TypeVar

from perdure.errors import RefusedCommand

Value = TypeVar("Value")

_STDIN = 0
_STDOUT = 1
_STDERR = 2


class OutputNotWritten(RefusedCommand):
    """The answer of a command cannot be written to stdout."""


class AnswerStream(io.TextIOWrapper):
    """Stdout; raises `OutputNotWritten`, with one sentence, instead of `OSError`."""

    def write(self, text: str, /) -> int:
        """Write the text; returns its length in characters."""
        return _explained(lambda: super(AnswerStream, self).write(text))

    def flush(self) -> None:
        """Hand the written text to the operating system."""
        _explained(super().flush)


class SentenceStream(io.TextIOWrapper):
    """Stderr; drops text that cannot be written.

    A lost sentence is no reason to stop the work.
    """

    def write(self, text: str, /) -> int:
        """Write the text, or drop it; returns its length in characters."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Hand the written text to the operating system, or drop it."""
        with suppress(OSError):
            super().flush()


def open_standard_streams() -> None:
    """Open a file for each closed standard stream, and replace stdout and stderr.

    `AnswerStream` replaces stdout, and `SentenceStream` replaces stderr.

    The file of a closed stdout takes no data, so a command that has an answer fails with one sentence, and a command
    without one succeeds.
    """
    for number, mode in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        if not _is_open(number):
            os.open(os.devnull, mode)  # the operating system takes the lowest free number, which is the stream's
    sys.stdout = _wrapped(AnswerStream, sys.stdout, _STDOUT)
    sys.stderr = _wrapped(SentenceStream, sys.stderr, _STDERR)


def _wrapped(kind: type[io.TextIOWrapper], stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # Python found the stream closed
        return kind(os.fdopen(number, "wb", closefd=False), line_buffering=number == _STDERR)
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream, kind):
        return stream
    # A detached stream has no attributes any more.
    encoding = stream.encoding
    errors = stream.errors
    by_line = stream.line_buffering
    return kind(stream.detach(), encoding=encoding, errors=errors, line_buffering=by_line)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _explained(act: Callable[[], Value]) -> Value:
    try:
        return act()
    except BrokenPipeError:  # the reader closed its end, which is no failure
        raise
    except OSError as error:
        why = "stdout is closed" if error.errno == errno.EBADF else (error.strerror or str(error)).lower()
        raise OutputNotWritten(f"The answer cannot be written to stdout: {why}.") from error
