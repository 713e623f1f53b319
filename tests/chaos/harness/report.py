"""What the trials found: a table for people, JSON for scripts."""

import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.chaos.harness.schedule import KINDS
from tests.chaos.harness.trial import Landed, Verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """By kind of fault: how many landed, and how long until the next document was committed."""
    by_kind: defaultdict[str, list[Landed]] = defaultdict(list)
    for verdict in verdicts:
        for one in verdict.landed:
            by_kind[one.fault.kind].append(one)
    lines = [
        "| fault | landed | with work in hand | next commit, p50 s | max s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [_line(kind.name, by_kind[kind.name]) for kind in KINDS if by_kind[kind.name]]
    lines.append(_line("all", [one for ones in by_kind.values() for one in ones]))
    documents, checkpoints = sum(one.documents for one in verdicts), sum(one.checkpoints for one in verdicts)
    held = sum(not one.broken for one in verdicts)
    summary = (
        f"{held} of {len(verdicts)} runs kept every law: {documents} documents, {checkpoints} checkpoints, "
        f"{sum(one.seconds for one in verdicts):.0f} s."
    )
    return "\n".join([*lines, "", summary])


def _line(name: str, landed: Sequence[Landed]) -> str:
    seconds = [one.next_commit_seconds for one in landed if one.next_commit_seconds is not None]
    p50, most = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("", "")
    return f"| {name} | {len(landed)} | {sum(one.in_hand for one in landed)} | {p50} | {most} |"


def as_json(seed: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything, in the order in which it happened."""
    return {"seed": seed, "load": os.getloadavg(), "trials": [asdict(one) for one in verdicts]}
