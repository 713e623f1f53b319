"""Converts a matplotlib figure to an SVG inside a page.

The SVG uses the page's colours, and its text stays text.
"""

import re
import warnings
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from perdure.report.wording import plain

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
ET.register_namespace("", _SVG)

NAMES = (
    "ink",
    "soft",
    "rule",
    "paper",
    "done",
    "done-fill",
    "failed",
    "mark",
    "crash",
    "resumed",
    "recovered",
    "healthy",
    "degraded",
    "unhealthy",
    "kind-0",
    "kind-1",
    "kind-2",
    "kind-3",
    "kind-4",
    "kind-5",
    "edge",
)
"""Names of the colours for which `style.css` has a light and a dark value."""
COLOURS = {name: f"#0a0b{index:02x}" for index, name in enumerate(NAMES, 1)}
"""Placeholder of each colour in a drawing; the page never shows it."""
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_COLOUR = re.compile(r"#0a0b[0-9a-f]{2}")
_FAMILY = re.compile(r"font: ([\d.]+)px [^;]*")
_REFERENCE = re.compile(r"url\(#")

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "perdure",
    "svg.id": None,
    "font.family": "DejaVu Sans",  # matplotlib measures texts in this font; the page displays texts in the page's font
    "font.size": 12,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "axes.edgecolor": COLOURS["rule"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "figure.dpi": 72,
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOURS["rule"],
    "ytick.color": COLOURS["rule"],
    "xtick.labelcolor": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["soft"],
    "path.simplify": True,
}


def to_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Return the figure as an `<svg>` element; equal figures give equal text.

    Args:
        figure: figure drawn with `COLOURS` only and under `STYLE`; one inch is 72 pixels.
        name: prefix of every id, so that several figures can stand in one page.
        title: title for screen readers.
        description: description for screen readers.
    """
    drawing = StringIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # warns about letters that DejaVu Sans lacks
        figure.savefig(drawing, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(drawing.getvalue())  # noqa: S314 - matplotlib wrote this text
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = plain(text)
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def _adapt(element: ET.Element, name: str) -> None:
    for attribute, value in list(element.attrib.items()):
        if attribute == "id":
            element.set("id", f"{name}-{value}")
        elif attribute == f"{{{_XLINK}}}href":
            del element.attrib[attribute]
            element.set("href", value.replace("#", f"#{name}-", 1))
        elif attribute == "style":
            own = _FAMILY.sub(r"font-size: \1px", value)
            element.set("style", _COLOUR.sub(lambda match: _VARIABLES[match[0]], own))
        elif "url(#" in value:
            element.set(attribute, _REFERENCE.sub(f"url(#{name}-", value))
