"""The audit derives the right chain after every ending, and finds every changed copy."""

import copy
import os
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestration.audit.chain import Chain, expected_chain, history_tip
from orchestration.audit.entries import Entry, examine
from orchestration.audit.mirror import Holding, compare
from orchestration.client.history import HistoryRun, WorkflowHistory
from perdure.checkpoint import Link, WorkflowCheckpoint, seal
from tests.conformance.chains import BEGINNING, following, make_chain, make_checkpoint
from workflows.messages import PipelineInput, ResumePoint

RUN = "run"
ROUNDS = 150


def run(
    number: int,
    checkpoints: Sequence[WorkflowCheckpoint],
    *,
    acknowledged: int | None = None,
    after: WorkflowCheckpoint | None = None,
    reset_of: int | None = None,
) -> HistoryRun:
    """Return the run with this number, which continues after the checkpoint `after`.

    Its first `acknowledged` checkpoints are acknowledged.
    """
    resume = None
    if after:
        resume = ResumePoint(
            checkpoint_id=after.checkpoint_id, sequence=after.sequence, digest=after.digest, epoch=after.epoch
        )
    return HistoryRun(
        f"run-{number}",
        f"run-{number if reset_of is None else reset_of}",
        WorkflowExecutionStatus.TERMINATED,
        BEGINNING + timedelta(hours=number),
        BEGINNING + timedelta(hours=number, minutes=1),
        checkpoints,
        [],
        frozenset(checkpoint.digest for checkpoint in checkpoints[:acknowledged]),
        PipelineInput(sources=[], resume=resume),
    )


def entries(checkpoints: Sequence[WorkflowCheckpoint]) -> list[Entry]:
    return [examine(checkpoint.model_dump(mode="json"), RUN) for checkpoint in checkpoints]


def chain_of(runs: Sequence[HistoryRun], *stores: Sequence[WorkflowCheckpoint]) -> Chain:
    return expected_chain(WorkflowHistory(runs), [entries(store) for store in stores], lambda _: False)


def contents(chain: Chain) -> list[WorkflowCheckpoint]:
    return [chain.contents[sequence] for sequence in sorted(chain.contents)]


def test_unstored_checkpoint_is_replaced_by_that_of_the_next_run() -> None:
    base = make_chain(RUN, 3)
    lost = following(base[-1], status="paused")
    later = make_chain_after(base[-1], 2, epoch=2)
    runs = [run(1, [*base, lost], acknowledged=3), run(2, later, after=base[-1])]
    assert WorkflowHistory(runs).checkpoints == [*base, *later]
    assert contents(chain_of(runs, [*base, *later])) == [*base, *later]


def test_a_stored_unacknowledged_checkpoint_belongs_to_the_chain() -> None:
    base = make_chain(RUN, 4)
    runs = [run(1, base, acknowledged=3)]
    assert contents(chain_of(runs, base)) == base
    assert contents(chain_of(runs, base[:3])) == base[:3]


def test_a_reset_run_does_not_shorten_the_chain() -> None:
    base = make_chain(RUN, 6)
    refused = following(base[2], status="paused")
    later = make_chain_after(base[-1], 2, epoch=2)
    just_reset = [run(1, base), run(2, base[:3], reset_of=1)]
    assert contents(chain_of(just_reset, base)) == base
    continued = HistoryRun(
        **{
            **vars(run(2, [*base[:3], refused, *later], reset_of=1)),
            "acknowledged": frozenset(checkpoint.digest for checkpoint in [*base[:3], *later]),
        }
    )
    assert WorkflowHistory([run(1, base), continued]).checkpoints == [*base, *later]
    assert contents(chain_of([run(1, base), continued], [*base, *later])) == [*base, *later]


def test_digests_confirm_checkpoints_that_temporal_forgot() -> None:
    base = make_chain(RUN, 4)
    later = make_chain_after(base[-1], 2, epoch=2)
    for runs in ([run(2, later, after=base[-1])], [run(2, [], after=base[-1])]):
        held = [*base, *later] if runs[0].checkpoints else base
        chain = chain_of(runs, held)
        assert contents(chain) == held
        assert chain.confirmed_from == 1
        forged = seal(base[1].model_copy(update={"processed_documents": 77}))
        wrong = [base[0], forged, *held[2:]]
        found = compare(RUN, Holding("Postgres", entries(wrong), len(held)), chain_of(runs, wrong))
        assert [difference.subject for difference in found] == ["checkpoint 2"]


def test_a_run_without_a_checkpoint_confirms_the_chain_that_it_continues() -> None:
    """Temporal has forgotten the run that took the checkpoints.

    The digest that the next run joins decides.
    """
    base = make_chain(RUN, 4)
    forged = seal(base[-1].model_copy(update={"processed_documents": 77}))
    assert contents(chain_of([run(2, [], after=base[-1])], [*base[:3], forged], base)) == base


def test_an_execution_of_the_same_run_does_not_shorten_its_chain() -> None:
    """The run was reset to an execution that had continued as new after the third checkpoint."""
    base = make_chain(RUN, 6)
    history = WorkflowHistory([run(1, base), run(2, [], after=base[2], reset_of=1)])
    assert history_tip(history) == Link(6, base[5].digest)


def test_a_new_chain_is_not_compared_with_the_former_one() -> None:
    """Every store was lost, and a run with the same id was started again with epoch 1."""
    former = make_chain(RUN, 5, epoch=3)
    restarted = make_chain(RUN, 2, status="paused")
    runs = [run(1, former), run(2, restarted)]
    assert WorkflowHistory(runs).checkpoints == restarted
    assert contents(chain_of(runs, restarted)) == restarted


def test_a_checkpoint_that_no_run_took_is_not_in_the_chain() -> None:
    base = make_chain(RUN, 3)
    assert contents(chain_of([run(1, base)], [*base, following(base[-1])])) == base


def test_the_longest_intact_copy_counts_without_history() -> None:
    base = make_chain(RUN, 4)
    assert contents(chain_of([], base[:2], base)) == base
    other = following(base[2], status="paused")
    assert chain_of([], base, [*base[:3], other]).contradicted == {4}


def make_chain_after(before: WorkflowCheckpoint, length: int, *, epoch: int) -> list[WorkflowCheckpoint]:
    chain = [before]
    for _ in range(length):
        chain.append(following(chain[-1], epoch=epoch))
    return chain[1:]


def some_change(chooser: random.Random, stored: list[dict[str, Any]]) -> str:
    """Change one stored checkpoint at random; return the kind of the change."""
    place = chooser.randrange(len(stored))
    chosen = stored[place]
    kind = chooser.choice(["delete", "swap", "edit", "reseal", "double", "add", "surplus", "relabel"])
    if kind == "delete":
        del stored[place]
    elif kind == "swap":
        other = (place + 1) % len(stored)
        stored[place] = stored[other]
        stored[other] = chosen
    elif kind == "edit":
        branch = chooser.choice(
            [chosen["state_data"], chosen["metadata"], chosen["service_states"]["IdentityService"]["metadata"]]
        )
        key = chooser.choice(sorted(branch))
        branch[key] = f"{branch[key]}x" if isinstance(branch[key], str) else 987654
    elif kind == "reseal":
        forged = seal(WorkflowCheckpoint.model_validate({**chosen, "processed_documents": 4711}))
        stored[place] = forged.model_dump(mode="json")
    elif kind == "double":
        stored.insert(place, copy.deepcopy(chosen))
    elif kind == "add":
        last = WorkflowCheckpoint.model_validate(stored[-1])
        stored.append(following(last).model_dump(mode="json"))
    elif kind == "surplus":
        chosen[chooser.choice(["note", "sequence"])] = 99
    else:
        chosen["checkpoint_id"] = make_checkpoint(RUN, 500).checkpoint_id
    return f"{kind} at {place}"


@pytest.mark.parametrize("with_history", [True, False])
def test_every_change_to_a_copy_is_found(*, with_history: bool) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED", random.randrange(2**32)))
    print(f"PERDURE_TEST_SEED={seed}")
    chooser = random.Random(seed)
    for _ in range(ROUNDS):
        base = make_chain(RUN, chooser.randrange(3, 9))
        stored = [checkpoint.model_dump(mode="json") for checkpoint in base]
        change = some_change(chooser, stored)
        damaged = [examine(checkpoint, RUN) for checkpoint in stored]
        whole = entries(base)
        runs = [run(1, base)] if with_history else []
        leading, other = (damaged, whole) if chooser.random() < 0.5 else (whole, damaged)
        chain = expected_chain(WorkflowHistory(runs), [leading, other], lambda _: False)
        holdings = [Holding("Postgres", leading, chain.tip), Holding("the file", other, chain.tip)]
        found = [difference for holding in holdings for difference in compare(RUN, holding, chain)]
        assert found, f"{change} of {len(base)} was not found"
        if with_history:
            assert contents(chain) == base
            assert not chain.contradicted
