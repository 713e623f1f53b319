"""The results of the trials, as a Markdown table and as JSON."""

import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.chaos.harness.schedule import KINDS
from tests.chaos.harness.trial import Landed, Verdict


def format_table(verdicts: Sequence[Verdict]) -> str:
    """Return a Markdown table of the faults by kind, with the seconds to the next commit."""
    by_kind: defaultdict[str, list[Landed]] = defaultdict(list)
    for verdict in verdicts:
        for landed in verdict.landed:
            by_kind[landed.fault.kind].append(landed)
    lines = [
        "| fault | landed | with work in hand | next commit, p50 s | max s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [_format_line(kind.name, by_kind[kind.name]) for kind in KINDS if by_kind[kind.name]]
    lines.append(_format_line("all", [landed for verdict in verdicts for landed in verdict.landed]))
    documents = sum(verdict.documents for verdict in verdicts)
    checkpoints = sum(verdict.checkpoints for verdict in verdicts)
    held = sum(not verdict.broken for verdict in verdicts)
    summary = (
        f"{held} of {len(verdicts)} runs kept every promise: {documents} documents, {checkpoints} checkpoints, "
        f"{sum(verdict.seconds for verdict in verdicts):.0f} s."
    )
    return "\n".join([*lines, "", summary])


def _format_line(name: str, landed: Sequence[Landed]) -> str:
    seconds = [fault.next_commit_seconds for fault in landed if fault.next_commit_seconds is not None]
    p50, most = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("", "")
    return f"| {name} | {len(landed)} | {sum(fault.in_hand for fault in landed)} | {p50} | {most} |"


def format_json(seed: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return all results as JSON data, trials and faults in the order in which they happened."""
    return {"seed": seed, "load": os.getloadavg(), "trials": [asdict(verdict) for verdict in verdicts]}
