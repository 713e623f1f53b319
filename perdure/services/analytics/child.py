"""The ranking process, run as `python -m perdure.services.analytics.child PARENT`: a graph in, its nodes out.

Away from the worker it may compute for as long as it takes, and its memory goes with it. It is sent the nodes, then the
edges, and answers the ranked nodes, all in blocks as `perdure.sandbox.computation.exchange` has them.
"""

from typing import BinaryIO

from perdure.sandbox.computation.child import serve_parent
from perdure.sandbox.computation.exchange import blocks, packed, read_rows
from perdure.services.analytics.ranking import rank_graph


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Rank one graph."""
    nodes = [name for (name,) in read_rows(requests)]
    answers.writelines(map(packed, blocks(rank_graph(nodes, ((s, t, w) for s, t, w in read_rows(requests))))))
    answers.flush()


if __name__ == "__main__":
    serve_parent(serve)
