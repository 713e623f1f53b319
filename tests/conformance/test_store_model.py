"""Compares a store with a list: after any calls, the store holds the same checkpoints."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedWrite, StaleWriter
from tests.conformance.chains import following, make_checkpoint, new_workflow_id
from tests.conformance.opened import opened

Answer = TypeVar("Answer")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=3)
    ),
    max_leaves=6,
)


class StoreMachine(RuleBasedStateMachine):
    """Calls of a store in random order. `chain` holds the checkpoints that the store must hold."""

    storage: tuple[str, str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.workflow_id = new_workflow_id()
        self.chain: list[WorkflowCheckpoint] = []
        self.open()

    def open(self) -> None:
        self.store, self.close = opened(*self.storage)

    def run(self, answer: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            return await answer

        return self.runner.run(wait())

    def next(self, value: object = None, **changes: Any) -> WorkflowCheckpoint:
        if self.chain:
            return following(self.chain[-1], value=value, **changes)
        return make_checkpoint(self.workflow_id, value=value, **changes)

    def refused(self, error: type[RefusedWrite], checkpoint: WorkflowCheckpoint) -> None:
        try:
            self.run(self.store.append(checkpoint))
        except error:
            return
        raise AssertionError(f"{checkpoint.sequence} was not refused with {error.__name__}")

    @rule(value=json_values, newer=st.integers(0, 2))
    def append(self, value: object, newer: int) -> None:
        checkpoint = self.next(value, epoch=(self.chain[-1].epoch if self.chain else 1) + newer)
        assert self.run(self.store.append(checkpoint)) is True
        self.chain.append(checkpoint)

    @precondition(lambda self: self.chain)
    @rule(choice=st.randoms(use_true_random=False))
    def repeat(self, choice: random.Random) -> None:
        assert self.run(self.store.append(choice.choice(self.chain))) is False

    @precondition(lambda self: self.chain)
    @rule(choice=st.randoms(use_true_random=False))
    def contradict(self, choice: random.Random) -> None:
        changed = choice.choice(self.chain).model_copy(update={"processed_documents": 10**6})
        self.refused(CheckpointConflict, changed)

    @precondition(lambda self: self.chain)
    @rule(distance=st.integers(2, 5))
    def skip(self, distance: int) -> None:
        self.refused(CheckpointGap, self.next(sequence=self.chain[-1].sequence + distance))

    @precondition(lambda self: self.chain)
    @rule()
    def come_late(self) -> None:
        self.refused(StaleWriter, self.next(epoch=self.chain[-1].epoch - 1))

    @rule()
    def reopen(self) -> None:
        self.run(self.close())
        self.open()

    @invariant()
    def holds_the_chain(self) -> None:
        assert list(self.run(self.store.list(self.workflow_id))) == self.chain
        latest = self.run(self.store.latest(self.workflow_id))
        assert latest == (self.chain[-1] if self.chain else None)
        assert latest is None or latest.digest == self.chain[-1].digest

    def teardown(self) -> None:
        self.run(self.close())
        self.runner.close()


def test_a_store_agrees_with_a_list_after_any_calls(storage: tuple[str, str]) -> None:
    machine = type("Machine", (StoreMachine,), {"storage": storage})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
