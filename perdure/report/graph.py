"""Draws the graph: the heaviest identities and the strongest links of each."""

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import rustworkx as rx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from perdure.report.backbone import strongest_edges
from perdure.report.charts import WIDE, figure_of
from perdure.report.data import Edge, GraphPicture, Node
from perdure.report.svg import COLOURS, STYLE, to_svg
from perdure.report.wording import counted, plain, shortened

KIND_COLOURS = 6
_SEED = 7
_ITERATIONS = 300
_LETTER = 0.56
"""Mean width of a letter, relative to the font size."""
_FONT = 12.0

Place = tuple[float, float]
Box = tuple[float, float, float, float]


def kinds_in(graph: GraphPicture) -> list[str]:
    """Return the kinds of the drawn identities in the order of their colours.

    The last colour is shared.
    """
    return sorted({node.kind for node in graph.nodes})


def graph_chart(graph: GraphPicture, width: float, *, name: str) -> str:
    """Return the drawing: nodes coloured by kind, with sizes and line widths by weight."""
    edges = strongest_edges(graph)
    held = {end for edge in edges for end in (edge.source, edge.target)}
    nodes = [node for node in graph.nodes if node.identity_id in held or not edges]
    height = 560.0 if width == WIDE else 440.0
    with mpl.rc_context(STYLE):
        figure, axes = figure_of(width, height)
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        places = _compute_layout(nodes, edges, width, height)
        heaviest = max((edge.weight for edge in edges), default=1)
        axes.add_collection(
            LineCollection(
                [[places[edge.source], places[edge.target]] for edge in edges],
                linewidths=[0.6 + 3.4 * edge.weight / heaviest for edge in edges],
                colors=COLOURS["edge"],
                capstyle="round",
            )
        )
        radii = _compute_radii(nodes, small=width != WIDE)
        for index, kind in enumerate(kinds_in(graph)):
            own = [node for node in nodes if node.kind == kind]
            axes.scatter(
                [places[node.identity_id][0] for node in own],
                [places[node.identity_id][1] for node in own],
                s=[(2 * radii[node.identity_id]) ** 2 for node in own],
                color=COLOURS[f"kind-{min(index, KIND_COLOURS - 1)}"],
                edgecolor=COLOURS["paper"],
                linewidth=1.2,
                zorder=2,
            )
        _place_labels(axes, nodes, places, radii, (width, height))
        description = f"{counted(len(nodes), 'identity', 'identities')}, the heaviest is "
        description += plain(graph.nodes[0].name) if graph.nodes else "none"
        return to_svg(figure, name=name, title="Identities mentioned together", description=f"{description}.")


def _compute_layout(nodes: Sequence[Node], edges: Sequence[Edge], width: float, height: float) -> dict[str, Place]:
    graph: rx.PyGraph[str, float] = rx.PyGraph()
    index = {node.identity_id: graph.add_node(node.identity_id) for node in nodes}
    for edge in edges:
        graph.add_edge(index[edge.source], index[edge.target], 1 + math.log(edge.weight))
    spread = 2.2 / math.sqrt(max(len(nodes), 1))
    positions = rx.spring_layout(graph, k=spread, num_iter=_ITERATIONS, weight_fn=float, seed=_SEED)
    raw = {
        node.identity_id: (float(positions[index[node.identity_id]][0]), float(positions[index[node.identity_id]][1]))
        for node in nodes
    }
    return _fill(raw, width, height)


def _fill(raw: Mapping[str, Place], width: float, height: float) -> dict[str, Place]:
    """Place nodes on each axis partly by position and partly by rank.

    With the rank, an outlier leaves space for the other nodes.
    """
    margin = 36.0
    filled: list[dict[str, float]] = []
    for axis, extent in ((0, width), (1, height)):
        ordered = sorted(raw, key=lambda node: (raw[node][axis], node))
        low, high = (raw[ordered[0]][axis], raw[ordered[-1]][axis]) if ordered else (0.0, 1.0)
        span = (high - low) or 1.0
        last = max(len(ordered) - 1, 1)
        room = extent - 2 * margin
        filled.append(
            {
                node: margin + room * (0.35 * (raw[node][axis] - low) / span + 0.65 * rank / last)
                if len(ordered) > 1
                else extent / 2
                for rank, node in enumerate(ordered)
            }
        )
    return {node: (filled[0][node], filled[1][node]) for node in raw}


def _compute_radii(nodes: Sequence[Node], *, small: bool) -> dict[str, float]:
    heaviest = max((node.weight for node in nodes), default=1)
    least, most = (3.0, 9.0) if small else (4.0, 13.0)
    return {node.identity_id: least + (most - least) * math.sqrt(node.weight / heaviest) for node in nodes}


def _place_labels(
    axes: Axes, nodes: Sequence[Node], places: Mapping[str, Place], radii: Mapping[str, float], extent: Place
) -> None:
    """Write names, heaviest first, each on the first free side.

    A name that fits nowhere is left out.
    """
    taken: list[Box] = []
    for node in nodes:
        (x, y) = places[node.identity_id]
        radius = radii[node.identity_id] * 0.6
        taken.append((x - radius, y - radius, x + radius, y + radius))
    for node in nodes:
        text = plain(shortened(node.name, 26))
        (x, y) = places[node.identity_id]
        gap = radii[node.identity_id] + 2
        wide = len(text) * _LETTER * _FONT
        high = _FONT
        for dx, dy, side in (
            (gap, 0, "left"),
            (-gap, 0, "right"),
            (0, gap + high / 2, "center"),
            (0, -gap - high / 2, "center"),
        ):
            left = x + dx - {"left": 0, "right": wide, "center": wide / 2}[side]
            box = (left, y + dy - high / 2, left + wide, y + dy + high / 2)
            if _inside(box, extent) and not any(_overlap(box, other) for other in taken):
                axes.text(x + dx, y + dy, text, ha=side, va="center_baseline", fontsize=_FONT, zorder=3)
                taken.append(box)
                break


def _inside(box: Box, extent: Place) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= extent[0] and box[3] <= extent[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
