"""The child's side: a computation between standard input and standard output."""

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from perdure.sandbox.child_lifetime import die_with_parent, ignore_stop_signals, prefer_as_oom_victim


def serve_parent(serve: Callable[[BinaryIO, BinaryIO], None]) -> None:
    """Serve the parent process, whose id is the first command-line argument.

    Args:
        serve: reads requests from its first argument and writes answers to its second.
    """
    ignore_stop_signals()
    die_with_parent(int(sys.argv[1]))
    prefer_as_oom_victim()
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # the parent is gone, so an error message would reach no process
