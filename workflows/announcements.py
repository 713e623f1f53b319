"""What the Web UI shows of a run: current details as Markdown, and search attributes.

Current details are served by a query, so they need a worker; search attributes live in the server and show progress
while no worker is alive.
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

AT_MOST_EVERY = timedelta(seconds=1)
"""Each upsert is an event in history: a fast run must not spend its history on announcing."""
BAR_WIDTH = 20


class Announcer:
    """Publishes a run's progress; everything it shows comes from the state it is given."""

    def __init__(self, *, search_attributes: bool) -> None:
        self._search_attributes = search_attributes
        self._last_status: str | None = None
        self._last_counts = (0, 0, 0)
        self._last_upsert: datetime | None = None

    def announce(self, state: PipelineState, status: str, waiting_for: str | None) -> None:
        """Refresh the details; upsert the search attributes on a change of status, else at most once a second.

        When everything queued is finished they are upserted as well: nothing may come after it for a long time.
        """
        workflow.set_current_details(details(state, status, waiting_for))
        if not self._search_attributes:
            return
        held = state.tripped_at is not None  # then what it waits for is why it is paused
        shown, now = "waiting" if waiting_for and not held else status, workflow.now()
        counts = (state.total, state.processed, state.quarantined)
        if shown == self._last_status and self._last_upsert:
            idle = state.watermark >= state.queued
            if counts == self._last_counts or (now - self._last_upsert < AT_MOST_EVERY and not idle):
                return
        self._last_status, self._last_counts, self._last_upsert = shown, counts, now
        workflow.upsert_search_attributes(
            [
                DOCUMENTS_TOTAL.value_set(state.total),
                DOCUMENTS_PROCESSED.value_set(state.processed),
                DOCUMENTS_FAILED.value_set(state.quarantined),
                QUALITY_SCORE.value_set(state.quality_score),
                PIPELINE_STATUS.value_set(shown),
            ]
        )


def details(state: PipelineState, status: str, waiting_for: str | None) -> str:
    """The run's progress as Markdown."""
    done = state.processed + state.quarantined
    filled = BAR_WIDTH * done // state.total if state.total else 0
    lines = [
        f"**{status.replace('_', ' ')}** · {done} of {state.total} documents",
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
            f"* {name}: {service.status}{_because(service.metadata.get('why'))}"
            for name, service in sorted(state.latest.service_states.items())
        ]
    return "\n".join(lines)


def _because(why: object) -> str:
    return f": {why}" if why else ""
