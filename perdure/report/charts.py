"""The charts over time and the histogram of quality."""

from collections.abc import Sequence
from datetime import datetime

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from perdure.report.data import QUALITY_BUCKETS, RunReportData
from perdure.report.svg import COLOURS, STYLE, to_svg
from perdure.report.wording import counted, duration, number, plain, shortened, verdict

WIDE = 880.0
NARROW = 360.0
HALF = 380.0
"""Widths in pixels: for a desktop, for a phone, and for half a desktop."""
_NICE_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400
_INCH = 72.0
_INTERRUPTION_SIGNS = {"crash": "X", "retry": "x", "stop": "s", "worker": "o", "resumption": ">", "recovery": "D"}
INTERRUPTION_COLOURS = {
    "crash": "crash",
    "retry": "crash",
    "stop": "failed",
    "worker": "soft",
    "resumption": "resumed",
    "recovery": "recovered",
}


def figure_of(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of this size in pixels; the caller draws it under `STYLE`."""
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02)
    figure = Figure(figsize=(width / _INCH, height / _INCH), layout=layout)
    return figure, figure.add_subplot()


def progress_chart(data: RunReportData, width: float, *, name: str) -> str:
    """Return the chart of finished documents over time, with checkpoints and interruptions."""
    with mpl.rc_context(STYLE):
        figure, axes = figure_of(width, 300 if width == WIDE else 250)
        points = [(data.began, 0, 0), *[(point.time, point.processed, point.quarantined) for point in data.progress]]
        points.append((max(data.as_of, points[-1][0]), *points[-1][1:]))
        seconds = [_count_seconds(data, time) for time, _, _ in points]
        done = [processed + quarantined for _, processed, quarantined in points]
        axes.fill_between(seconds, done, step="post", color=COLOURS["done-fill"], linewidth=0)
        axes.step(seconds, done, where="post", color=COLOURS["done"], linewidth=2)
        if data.counts.quarantined:
            failed = [quarantined for _, _, quarantined in points]
            axes.step(seconds, failed, where="post", color=COLOURS["failed"], linewidth=1.6)
        axes.plot(
            [_count_seconds(data, mark.time) for mark in data.checkpoints],
            [mark.documents for mark in data.checkpoints],
            "o",
            color=COLOURS["paper"],
            markeredgecolor=COLOURS["mark"],
            markeredgewidth=1.2,
            markersize=4.5,
            linestyle="none",
        )
        top = max(data.counts.total, 1)
        axes.axhline(top, color=COLOURS["soft"], linewidth=0.8, linestyle=(0, (2, 3)))
        for event in data.interruptions:
            colour = COLOURS[INTERRUPTION_COLOURS[event.kind]]
            at = _count_seconds(data, event.time)
            axes.axvline(at, ymax=0.94, color=colour, linewidth=1.3, linestyle=(0, (4, 2)))
            axes.plot([at], [top * 1.13], marker=_INTERRUPTION_SIGNS[event.kind], color=colour, markersize=7)
        axes.set_ylim(0, top * 1.2)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.grid(axis="y")
        _format_time_axis(axes, data, width)
        axes.set_ylabel("documents finished")
        return to_svg(figure, name=name, title="Documents over time", description=verdict(data))


def services_chart(data: RunReportData, width: float, *, name: str) -> str:
    """Return the chart with one strip for each service: its status over time."""
    with mpl.rc_context(STYLE):
        figure, axes = figure_of(width, 46 + 40 * max(1, len(data.services)))
        for row, service in enumerate(data.services):
            axes.text(
                0, row - 0.3, plain(shortened(service.name, 40)), transform=axes.get_yaxis_transform(), va="bottom"
            )
            for span in service.spans:
                start = _count_seconds(data, span.start)
                end = _count_seconds(data, span.end)
                least = _measure_length(data) / 150  # a very short outage stays visible
                colour = COLOURS.get(span.status, COLOURS["soft"])
                width_of = max(end - start, least if span.status != "healthy" else 0)
                height = 0.22 if span.status == "healthy" else 0.36
                axes.broken_barh([(start, width_of)], (row - 0.22, height), facecolor=colour, linewidth=0)
        axes.set_ylim(max(1, len(data.services)) - 0.55, -0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        _format_time_axis(axes, data, width)
        unhealthy = sum(span.status != "healthy" for service in data.services for span in service.spans)
        description = f"{counted(len(data.services), 'service')}, {counted(unhealthy, 'time')} not healthy."
        return to_svg(figure, name=name, title="Service health over time", description=description)


def quality_chart(quality: Sequence[int], *, mean: float, name: str) -> str:
    """Return the histogram of the documents' quality scores."""
    with mpl.rc_context(STYLE):
        figure, axes = figure_of(HALF, 220)
        width = 1 / QUALITY_BUCKETS
        heights = list(quality) or [0] * QUALITY_BUCKETS
        axes.bar(
            [index * width for index in range(QUALITY_BUCKETS)],
            heights,
            width=width * 0.86,
            align="edge",
            color=COLOURS["done"],
        )
        axes.axvline(mean, color=COLOURS["ink"], linewidth=1.2, linestyle=(0, (4, 2)))
        left = mean > 0.5  # noqa: PLR2004 - the label goes to the side with room
        axes.annotate(
            f"mean {mean:.2f}",
            (mean, 1),
            (-5 if left else 5, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(*heights, 1) * 1.18)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.grid(axis="y")
        axes.set_xlabel("quality score, 0 to 1")
        axes.set_ylabel("documents")
        description = f"{counted(sum(heights), 'document')} with a mean of {mean:.2f}."
        return to_svg(figure, name=name, title="Distribution of quality", description=description)


def _count_seconds(data: RunReportData, time: datetime) -> float:
    return (time - data.began).total_seconds()


def _measure_length(data: RunReportData) -> float:
    return max(_count_seconds(data, data.as_of), 0.1)


def _format_time_axis(axes: Axes, data: RunReportData, width: float) -> None:
    length = _measure_length(data)
    at_most = 8 if width == WIDE else 4
    step = next((seconds for seconds in _NICE_SECONDS if length / seconds <= at_most), None)
    days = -(-length // (at_most * _DAY))
    axes.set_xlim(-length * 0.01, length * 1.02)
    axes.xaxis.set_major_locator(MultipleLocator(step or days * _DAY))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value) if value > 0 else "0"))
    axes.set_xlabel("time since the beginning")
