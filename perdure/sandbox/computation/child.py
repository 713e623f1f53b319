"""The child's side: a computation between standard input and output."""

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from perdure.sandbox.parentage import die_before_parent, die_with_parent, leave_signals_to_parent


def serve_parent(serve: Callable[[BinaryIO, BinaryIO], None]) -> None:
    """Serve whoever started this process, whose id is its argument: `serve` is given requests and answers."""
    leave_signals_to_parent()
    die_with_parent(int(sys.argv[1]))
    die_before_parent()
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # nobody is left to be told
