"""The HTML page: equal data give equal text, and every text of a document is escaped."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from perdure.report.charts import INTERRUPTION_COLOURS, NARROW, WIDE, progress_chart, quality_chart, services_chart
from perdure.report.data import RunReportData
from perdure.report.graph import graph_chart, kinds_in
from perdure.report.wording import (
    duration,
    media_name,
    moment,
    number,
    plain,
    shortened,
    size,
    status_words,
    verdict,
)

MARKER = "Perdure report"
"""Stands near the beginning of every report. The command replaces an existing file only if it contains this text."""
ROWS = 20
"""Most rows in a table of events; the chart above it shows all events."""
_HERE = Path(__file__).parent
_INTERRUPTIONS = {
    "crash": "crash of a worker",
    "retry": "tried again",
    "stop": "run stopped",
    "worker": "another worker",
    "resumption": "resumption",
    "recovery": "recovery of lost data",
}
_KINDS_FIRST = ("person", "organisation", "place", "email", "identifier")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class _Chart:
    narrow: Markup
    wide: Markup


def render(data: RunReportData) -> str:
    """Return the report as one HTML page that has no script and loads nothing."""
    unhealthy = [
        (service.name, span) for service in data.services for span in service.spans if span.status != "healthy"
    ]
    return _template().render(
        data=data,
        marker=MARKER,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of this package
        verdict=verdict(data),
        figures=_figures(data),
        progress=data.progress and _both(lambda width, name: progress_chart(data, width, name=name), "progress"),
        quality=data.counts.processed and _drawn(quality_chart(data.quality, mean=data.counts.quality, name="quality")),
        services=data.services and _both(lambda width, name: services_chart(data, width, name=name), "services"),
        graph=data.graph.nodes and _both(lambda width, name: graph_chart(data.graph, width, name=name), "graph"),
        graph_kinds=kinds_in(data.graph),
        identities=sorted(data.identities, key=lambda group: (_place(group.kind), group.kind)),
        interruption_words=_INTERRUPTIONS,
        interruption_colours=INTERRUPTION_COLOURS,
        interruption_kinds={event.kind for event in data.interruptions},
        most_documents=max((row.documents for row in data.formats), default=1),
        other_formats=data.counts.processed + data.counts.quarantined - sum(row.documents for row in data.formats),
        unlisted_failures=data.counts.quarantined - sum(group.count for group in data.failures),
        unhealthy=unhealthy,
        rows=ROWS,
    )


def _both(draw: Callable[[float, str], str], name: str) -> _Chart:
    return _Chart(_drawn(draw(NARROW, f"{name}-narrow")), _drawn(draw(WIDE, f"{name}-wide")))


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - ElementTree escaped the texts of documents


def _figures(data: RunReportData) -> list[tuple[str, str]]:
    counts = data.counts
    seconds = (data.as_of - data.began).total_seconds()
    done = counts.processed + counts.quarantined
    return [
        ("Documents", number(counts.total)),
        ("Processed", number(counts.processed)),
        ("Quarantined", number(counts.quarantined)),
        ("Quality", f"{counts.quality:.2f}" if counts.processed else "none"),
        ("Took" if data.ended else "So far", duration(seconds)),
        ("A minute", number(done * 60 / seconds) if seconds else "none"),
        ("Checkpoints", number(counts.checkpoints)),
        *([("Tried again", number(counts.retried))] if counts.retried else []),
        ("Read", size(counts.bytes)),
        ("Mentions", number(counts.mentions)),
        ("Identities", number(counts.identities)),
        ("Links", number(counts.edges)),
    ]


def _place(kind: str) -> int:
    return _KINDS_FIRST.index(kind) if kind in _KINDS_FIRST else len(_KINDS_FIRST)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        plain=plain,
        number=number,
        size=size,
        duration=duration,
        moment=moment,
        media=media_name,
        status=status_words,
        shortened=shortened,
        spaced=lambda name: _CAMEL.sub(" ", name).capitalize(),
    )
    return environment.get_template("page.html")
