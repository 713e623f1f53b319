"""The resolver process, run as `python -m perdure.services.identity.child PARENT`: names in, identities out.

Away from the worker it may compute for as long as it takes, and its memory goes with it. See `exchange` for the talk.
"""

import os
import sys
from typing import BinaryIO

from perdure.documents.parentage import die_before_parent, die_with_parent, leave_signals_to_parent
from perdure.services.identity.exchange import blocks, packed, read, read_rows
from perdure.services.identity.resolution import Resolution


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Resolve one kind after the other until the requests end."""
    while kind := read(requests):
        resolution = Resolution(kind, read_rows(requests))
        answers.writelines(map(packed, blocks(resolution.pairs())))
        answers.flush()
        resolution.learn(read_rows(requests))
        answers.writelines(map(packed, blocks(resolution.joins())))
        answers.flush()


def main() -> None:
    """Serve the worker on standard input and output."""
    leave_signals_to_parent()
    die_with_parent(int(sys.argv[1]))
    die_before_parent()
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # nobody is left to be told


if __name__ == "__main__":
    main()
