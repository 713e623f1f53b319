"""Invented data of a report, with every section, and with text from hostile documents on request."""

from datetime import UTC, datetime, timedelta

from perdure.report.data import (
    CheckpointAt,
    Counts,
    Edge,
    FailedDocument,
    FailureGroup,
    FinishedAt,
    Format,
    GraphPicture,
    Identity,
    IdentityKind,
    Interruption,
    Node,
    RunReportData,
    ServiceHistory,
    ServiceSpan,
)

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=y>&amp;$x_2$\u202e\x07{{ 7*7 }}</svg></title>"


def after(seconds: float) -> datetime:
    """Return the time so many seconds after the start of the run."""
    return BEGAN + timedelta(seconds=seconds)


def empty_run(status: str = "in_progress") -> RunReportData:
    """Return the data of a run without documents."""
    return RunReportData(workflow_id="nothing yet", status=status, began=BEGAN, as_of=BEGAN)


def full_run(text: str = "Harbour Trust") -> RunReportData:
    """Return the data of a run with every section; `text` stands for every text that comes from documents."""
    nodes = [Node(f"id-{number}", f"{text} {number}", f"kind {number % 8} {text}", 40 - number) for number in range(20)]
    edges = [
        Edge(f"id-{source}", f"id-{target}", 1 + (source * target) % 7)
        for source in range(20)
        for target in range(source + 1, 20)
    ]
    return RunReportData(
        workflow_id=text,
        status="completed_with_failures",
        began=BEGAN,
        as_of=after(100),
        counts=Counts(
            total=12, processed=10, quarantined=2, bytes=5000, checkpoints=900, identities=20, edges=190, quality=0.8
        ),
        progress=[FinishedAt(after(10 * step), step, step // 5) for step in range(1, 11)],
        checkpoints=[CheckpointAt(after(10 * step), step, step + step // 5) for step in range(1, 11)],
        interruptions=[
            Interruption(after(20), "crash", text),
            Interruption(after(25), "retry", text),
            Interruption(after(30), "stop", text),
            Interruption(after(40), "worker", text),
            Interruption(after(50), "resumption", text),
            Interruption(after(60), "recovery", text),
        ],
        quality=[0] * 15 + [2, 3, 3, 1, 1],
        formats=[Format(text, 11, 2, 4000, 0.8), Format("", 1, 1, 1000, None)],
        failures=[FailureGroup(text, 7, [FailedDocument(text, text, text)])],
        identities=[IdentityKind(text, 20, [Identity(text, 3, 4)])],
        graph=GraphPicture(nodes, edges),
        services=[
            ServiceHistory(
                text,
                [
                    ServiceSpan(after(0), after(40), "healthy"),
                    ServiceSpan(after(40), after(60), "unhealthy", text),
                    ServiceSpan(after(60), after(100), "degraded", text),
                ],
            )
        ],
        forked_from=text,
    )
