"""The laws under a short schedule of chaos, and that a session which proves less than it says fails."""

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
from tests.chaos.harness.schedule import KINDS, Fault, schedule
from tests.chaos.harness.trial import Landed, other_outputs, shortfalls
from tests.chaos.workers import ROOT

FAULTS = len(KINDS)
"""The first so many of any schedule have every kind once."""


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.chaos.harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
@pytest.mark.timeout(320)
async def test_every_law_holds_under_every_kind_of_fault(tmp_path: Path) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    found = tmp_path / "found.json"
    done = await asyncio.to_thread(chaos, "--seed", str(seed), "--faults", str(FAULTS), "--json", str(found))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    (trial,) = json.loads(found.read_text())["trials"]
    struck = {one["fault"]["kind"] for one in trial["landed"]}
    missing = set(CARRY_OUT) - struck
    assert missing <= ({"fill disk"} if "The disk is not filled" in done.stderr else set())
    assert len(trial["landed"]) == FAULTS
    assert trial["documents"] > 0


async def test_a_fault_that_finds_nothing_to_strike_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "TARGET_SECONDS", 0.2)
    with pytest.raises(faults.MissedTarget, match="there was nothing to strike"):
        await faults.kill(Fault("kill zygote", after=0.0, lasts=0.0, pick=0.5), list)


def test_a_session_that_did_less_than_planned_fails() -> None:
    moment, fault = datetime.now(UTC), Fault("kill worker", after=0.0, lasts=0.0, pick=0.5)
    busy, idle = Landed(fault, moment, moment, in_hand=True), Landed(fault, moment, moment, in_hand=False)
    assert shortfalls([busy] * 8, 8) == []
    assert shortfalls([busy] * 7, 8) == ["Only 7 of 8 faults landed."]
    assert shortfalls([busy, idle], 2) == ["Only 1 of 2 faults struck while there was work in hand."]


def test_other_outputs_break_a_law() -> None:
    expected = {"mentions": (3, "a digest"), "chunks": (2, "another")}
    assert other_outputs(expected, expected) == []
    assert other_outputs(expected | {"mentions": (3, "a third")}, expected) == [
        "Other mentions than in an undisturbed run: 3 rows, expected 3."
    ]


def test_the_same_seed_gives_the_same_schedule_and_another_one_another() -> None:
    assert schedule(7, 100) == schedule(7, 100)
    assert schedule(7, 100) != schedule(8, 100)
    assert schedule(7, 100)[:40] == schedule(7, 40)


def test_a_long_schedule_has_every_kind_often_and_a_short_one_as_many_as_it_can() -> None:
    assert {fault.kind for fault in schedule(3, len(KINDS))} == set(CARRY_OUT) == {kind.name for kind in KINDS}
    often = Counter(fault.kind for fault in schedule(3, 300))
    assert min(often.values()) >= 10
    assert "fill disk" not in {fault.kind for fault in schedule(3, 100, without=["fill disk"])}


@pytest.mark.parametrize("arguments", [("--faults", "0"), ("--seed", "x"), ("--documents", "/nowhere/at/all")])
def test_nonsense_is_refused_with_exit_code_2(arguments: tuple[str, str]) -> None:
    done = chaos(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
