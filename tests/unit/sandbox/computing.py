"""A computation whose requests name its actions.

Run `python -m tests.unit.sandbox.computing PARENT`.
"""

import os
import signal
import sys
from typing import BinaryIO

from perdure.sandbox.computation.child import serve_parent
from perdure.sandbox.computation.exchange import pack, read_block


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each block with the same block, and carry out the action that each word names."""
    while (block := read_block(requests)) is not None:
        if block == "compute without end":
            answers.write(pack([(os.getpid(),)]))
            answers.flush()
            while True:
                pass
        elif block == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif block == "fail":
            sys.exit("There is no memory left.")
        elif block == "score":
            block = [(open("/proc/self/oom_score_adj").read().strip(),)]  # noqa: PTH123, SIM115
        answers.write(pack(block))
        answers.flush()


if __name__ == "__main__":
    serve_parent(serve)
