"""The resolver process, run as `python -m perdure.services.identity.child PARENT`: names in, identities out.

Away from the worker it may compute for as long as it takes, and its memory goes with it. It is sent a kind and the
names of that kind, sends pairs of names, is answered how many documents each pair shares, and sends what became of the
names. Then comes the next kind.
"""

from typing import BinaryIO

from perdure.sandbox.computation.child import serve_parent
from perdure.sandbox.computation.exchange import blocks, packed, read, read_rows
from perdure.services.identity.resolution import Resolution


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Resolve one kind after the other until the requests end."""
    while kind := read(requests):
        resolution = Resolution(kind, read_rows(requests))
        answers.writelines(map(packed, blocks(resolution.pairs())))
        answers.flush()
        resolution.add_counts(read_rows(requests))
        answers.writelines(map(packed, blocks(resolution.joins())))
        answers.flush()


if __name__ == "__main__":
    serve_parent(serve)
