"""Tests of the chaos harness: a short session, schedules, and incomplete sessions."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.chaos.harness import faults
from tests.chaos.harness.faults import CARRY_OUT
from tests.chaos.harness.schedule import KINDS, Fault, plan_faults
from tests.chaos.harness.trial import Landed, compare_outputs, list_shortfalls
from tests.chaos.workers import ROOT

FAULTS = len(KINDS)
"""The first faults of any schedule, up to this number, are of distinct kinds."""


def run_chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the harness as a separate process, and return its result."""
    command = [sys.executable, "-m", "tests.chaos.harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)


@pytest.mark.slow
async def test_promises_hold_under_every_kind_of_fault(tmp_path: Path) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    results = tmp_path / "results.json"
    done = await asyncio.to_thread(run_chaos, "--seed", str(seed), "--faults", str(FAULTS), "--json", str(results))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    (trial,) = json.loads(results.read_text())["trials"]
    struck = {landed["fault"]["kind"] for landed in trial["landed"]}
    missing = set(CARRY_OUT) - struck
    assert missing <= ({"fill disk"} if "The disk is not filled" in done.stderr else set())
    assert len(trial["landed"]) == FAULTS
    assert trial["documents"] > 0


async def test_fault_without_target_raises_missed_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "TARGET_SECONDS", 0.2)
    with pytest.raises(faults.MissedTarget, match="no target appeared"):
        await faults.kill(Fault("kill zygote", after=0.0, lasts=0.0, pick=0.5), list)


def test_session_with_fewer_faults_than_planned_fails() -> None:
    moment = datetime.now(UTC)
    fault = Fault("kill worker", after=0.0, lasts=0.0, pick=0.5)
    busy = Landed(fault, moment, moment, in_hand=True)
    idle = Landed(fault, moment, moment, in_hand=False)
    assert list_shortfalls([busy] * 8, 8) == []
    assert list_shortfalls([busy] * 7, 8) == ["Only 7 of 8 faults were carried out."]
    assert list_shortfalls([busy, idle], 2) == ["Only 1 of 2 faults happened while the run had unfinished documents."]


def test_different_outputs_are_reported() -> None:
    expected = {"mentions": (3, "digest 1"), "chunks": (2, "digest 2")}
    assert compare_outputs(expected, expected) == []
    assert compare_outputs(expected | {"mentions": (3, "digest 3")}, expected) == [
        "The mentions differ from those of an undisturbed run: 3 rows, expected 3."
    ]


def test_schedule_depends_on_seed_alone() -> None:
    assert plan_faults(7, 100) == plan_faults(7, 100)
    assert plan_faults(7, 100) != plan_faults(8, 100)
    assert plan_faults(7, 100)[:40] == plan_faults(7, 40)


def test_schedule_deals_every_kind_before_repeating() -> None:
    assert {fault.kind for fault in plan_faults(3, len(KINDS))} == set(CARRY_OUT) == {kind.name for kind in KINDS}
    counts = Counter(fault.kind for fault in plan_faults(3, 300))
    assert min(counts.values()) >= 10
    assert "fill disk" not in {fault.kind for fault in plan_faults(3, 100, without=["fill disk"])}


@pytest.mark.parametrize("arguments", [("--faults", "0"), ("--seed", "x"), ("--documents", "/nowhere/at/all")])
def test_wrong_arguments_exit_with_code_2(arguments: tuple[str, str]) -> None:
    done = run_chaos(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
