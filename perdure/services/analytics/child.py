"""The ranking process, run as `python -m perdure.services.analytics.child PARENT`: a graph in, its nodes out.

Away from the worker it may compute for as long as it takes, and its memory goes with it. It is sent the nodes, then the
edges, and answers the ranked nodes, all in blocks as `perdure.services.identity.exchange` has them.
"""

import os
import sys
from typing import BinaryIO

from perdure.documents.parentage import die_before_parent, die_with_parent, leave_signals_to_parent
from perdure.services.analytics.ranking import ranked
from perdure.services.identity.exchange import blocks, packed, read_rows


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Rank one graph."""
    nodes = [name for (name,) in read_rows(requests)]
    answers.writelines(map(packed, blocks(ranked(nodes, ((s, t, w) for s, t, w in read_rows(requests))))))
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
