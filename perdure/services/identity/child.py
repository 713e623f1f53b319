"""The process that resolves names: `python -m perdure.services.identity.child PARENT`.

The process computes outside the worker, so a long computation does not block the worker. The system frees the memory
when the process ends. For each kind:

1. The worker sends the kind and the names of that kind.
2. The process sends pairs of names.
3. The worker sends how many documents each pair shares.
4. The process sends the names that belong to the identity of another name.
"""

from typing import BinaryIO

from perdure.sandbox.computation.child import serve_parent
from perdure.sandbox.computation.exchange import pack, read_block, read_rows, split_into_blocks
from perdure.services.identity.resolution import Resolution


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Resolve one kind after the other until the requests end."""
    while kind := read_block(requests):
        resolution = Resolution(kind, read_rows(requests))
        answers.writelines(map(pack, split_into_blocks(resolution.pairs())))
        answers.flush()
        resolution.add_counts(read_rows(requests))
        answers.writelines(map(pack, split_into_blocks(resolution.joins())))
        answers.flush()


if __name__ == "__main__":
    serve_parent(serve)
