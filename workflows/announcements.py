"""Displays a run in the Web UI: current details as Markdown, and search attributes.

A query serves the current details, so they need a live worker. The server stores the search attributes, so they show
progress while no worker is alive.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from workflows.state import PipelineState

DOCUMENTS_TOTAL = SearchAttributeKey.for_int("DocumentsTotal")
DOCUMENTS_PROCESSED = SearchAttributeKey.for_int("DocumentsProcessed")
DOCUMENTS_FAILED = SearchAttributeKey.for_int("DocumentsFailed")
QUALITY_SCORE = SearchAttributeKey.for_float("QualityScore")
PIPELINE_STATUS = SearchAttributeKey.for_keyword("PipelineStatus")

_MIN_UPSERT_INTERVAL = timedelta(seconds=1)
"""Least time between two upserts. Each upsert is a history event, so a fast run would fill its history."""
BAR_WIDTH = 20


class Announcer:
    """Publishes a run's progress, derived from the state that the caller passes.

    Args:
        search_attributes: whether the server has Perdure's search attributes.
    """

    def __init__(self, *, search_attributes: bool) -> None:
        """Start with nothing published."""
        self._search_attributes = search_attributes
        self._last_status: str | None = None
        self._last_counts = (0, 0, 0)
        self._last_upsert: datetime | None = None

    def announce(self, state: PipelineState, status: str, waiting_for: str | None) -> None:
        """Refresh the details, and upsert the search attributes when they are due.

        An upsert is due on a change of status, and at most once a second on a change of counts. An upsert is also due
        when every queued document has finished, because an open run may then stay idle for a long time.
        """
        workflow.set_current_details(format_details(state, status, waiting_for))
        if not self._search_attributes:
            return
        # A tripped breaker is a pause: `waiting_for` then holds the reason of the pause.
        tripped = state.tripped_at is not None
        shown = "waiting" if waiting_for and not tripped else status
        time = workflow.now()
        counts = (state.total, state.processed, state.quarantined)
        if shown == self._last_status and self._last_upsert:
            idle = state.watermark >= state.queued
            if counts == self._last_counts or (time - self._last_upsert < _MIN_UPSERT_INTERVAL and not idle):
                return
        self._last_status = shown
        self._last_counts = counts
        self._last_upsert = time
        workflow.upsert_search_attributes(
            [
                DOCUMENTS_TOTAL.value_set(state.total),
                DOCUMENTS_PROCESSED.value_set(state.processed),
                DOCUMENTS_FAILED.value_set(state.quarantined),
                QUALITY_SCORE.value_set(state.quality_score),
                PIPELINE_STATUS.value_set(shown),
            ]
        )


def format_details(state: PipelineState, status: str, waiting_for: str | None) -> str:
    """Return the run's progress as Markdown."""
    finished = state.processed + state.quarantined
    filled = BAR_WIDTH * finished // state.total if state.total else 0
    lines = [
        f"**{status.replace('_', ' ')}** · {finished} of {state.total} documents",
        "",
        f"`{'█' * filled}{'░' * (BAR_WIDTH - filled)}`",
        "",
    ]
    if state.recovered:
        lines += [f"**Recovered:** {state.recovered}", ""]
    if waiting_for:
        lines += [f"**Waiting:** {waiting_for}", ""]
    counts = {"processed": state.processed, "quarantined": state.quarantined, "remaining": state.remaining}
    lines += [
        " · ".join([*(f"**{n}** {name}" for name, n in counts.items()), f"quality **{state.quality_score:.2f}**"])
    ]
    if state.latest:
        lines += [
            "",
            f"Checkpoint {state.sequence} `{state.latest.checkpoint_id}` at {state.latest.timestamp:%H:%M:%S} UTC",
            "",
        ]
        lines += [
            f"* {name}: {service.status}{_format_reason(service.metadata.get('why'))}"
            for name, service in sorted(state.latest.service_states.items())
        ]
    return "\n".join(lines)


def _format_reason(reason: object) -> str:
    return f": {reason}" if reason else ""
