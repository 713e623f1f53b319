"""The process that ranks a graph: `python -m perdure.services.analytics.child PARENT`.

A long ranking runs in a separate process, so it does not block the worker. The system frees the memory when the process
ends. The worker sends the nodes, then the edges. The process sends the ranked nodes.
`perdure.sandbox.computation.exchange` defines the blocks.
"""

from typing import BinaryIO

from perdure.sandbox.computation.child import serve_parent
from perdure.sandbox.computation.exchange import pack, read_rows, split_into_blocks
from perdure.services.analytics.ranking import rank_graph


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Read a graph from the worker, rank its nodes, and send the ranked nodes."""
    nodes = [name for (name,) in read_rows(requests)]
    edges = ((source, target, weight) for source, target, weight in read_rows(requests))
    answers.writelines(map(pack, split_into_blocks(rank_graph(nodes, edges))))
    answers.flush()


if __name__ == "__main__":
    serve_parent(serve)
