"""A graph as one file, written in blocks: first all nodes, then all edges.

Equal rows give equal bytes.
"""

import json
import re
from collections.abc import Iterable
from typing import IO, Any, Protocol
from xml.sax.saxutils import escape

Row = tuple[Any, ...]

NODE_ATTRIBUTES = {
    "name": "string",
    "kind": "string",
    "mentions": "long",
    "documents": "long",
    "confidence": "double",
    "pagerank": "double",
    "community": "long",
    "degree": "long",
    "strength": "long",
}
"""Columns after the id in a node's row, with their GraphML types. None is left out in GraphML and null in JSON."""

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class GraphFile(Protocol):
    """A graph file: call `begin`, then `add_nodes`, then `add_edges`, then `end`.

    `add_nodes` and `add_edges` may be called any number of times. A node's row is its id and the values of
    `NODE_ATTRIBUTES`. An edge's row is source, target and weight. Every method may raise OSError.
    """

    def begin(self) -> None:
        """Write the head of the file."""
        ...

    def add_nodes(self, rows: Iterable[Row]) -> None:
        """Write a block of nodes."""
        ...

    def add_edges(self, rows: Iterable[Row]) -> None:
        """Write a block of edges; no node may follow."""
        ...

    def end(self) -> None:
        """Write the end of the file."""
        ...


class GraphmlFile:
    """GraphML 1.0, undirected. A character that XML cannot hold becomes U+FFFD.

    Args:
        stream: text stream that does not translate line ends.
    """

    def __init__(self, stream: IO[str]) -> None:
        """Keep the stream; nothing is written yet."""
        self._stream = stream

    def begin(self) -> None:
        """Write the declaration of the attributes."""
        keys = [
            f'  <key id="{name}" for="node" attr.name="{name}" attr.type="{of}"/>\n'
            for name, of in NODE_ATTRIBUTES.items()
        ]
        self._stream.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="'
            'http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">\n'
            f'{"".join(keys)}  <key id="weight" for="edge" attr.name="weight" attr.type="long"/>\n'
            '  <graph id="entities" edgedefault="undirected">\n'
        )

    def add_nodes(self, rows: Iterable[Row]) -> None:
        """Write a block of nodes."""
        for identity, *values in rows:
            data = "".join(
                f'<data key="{name}">{_escape(value)}</data>'
                for name, value in zip(NODE_ATTRIBUTES, values, strict=True)
                if value is not None
            )
            self._stream.write(f'    <node id="{_escape(identity)}">{data}</node>\n')

    def add_edges(self, rows: Iterable[Row]) -> None:
        """Write a block of edges."""
        for source, target, weight in rows:
            self._stream.write(
                f'    <edge source="{_escape(source)}" target="{_escape(target)}">'
                f'<data key="weight">{weight}</data></edge>\n'
            )

    def end(self) -> None:
        """Close the graph."""
        self._stream.write("  </graph>\n</graphml>\n")


class NodeLinkFile:
    """The JSON of d3 and `networkx.node_link_graph(data, edges="edges")`.

    Each line has one node or edge.

    Args:
        stream: text stream.
    """

    def __init__(self, stream: IO[str]) -> None:
        """Keep the stream; nothing is written yet."""
        self._stream = stream
        self._list = "nodes"
        self._separator = "\n"

    def begin(self) -> None:
        """Open the list of nodes."""
        self._stream.write('{"directed": false, "multigraph": false, "graph": {}, "nodes": [')

    def add_nodes(self, rows: Iterable[Row]) -> None:
        """Write a block of nodes."""
        self._add(dict(zip(("id", *NODE_ATTRIBUTES), row, strict=True)) for row in rows)

    def add_edges(self, rows: Iterable[Row]) -> None:
        """Write a block of edges."""
        self._turn_to_edges()
        self._add({"source": source, "target": target, "weight": weight} for source, target, weight in rows)

    def end(self) -> None:
        """Close the list of edges."""
        self._turn_to_edges()
        self._stream.write("\n]}\n")

    def _turn_to_edges(self) -> None:
        if self._list == "nodes":
            self._stream.write('\n], "edges": [')
            self._list = "edges"
            self._separator = "\n"

    def _add(self, values: Iterable[dict[str, Any]]) -> None:
        for value in values:
            self._stream.write(self._separator + json.dumps(value, ensure_ascii=False))
            self._separator = ",\n"


def _escape(value: object) -> str:
    return escape(_NO_XML.sub(_REPLACEMENT, str(value)), {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
