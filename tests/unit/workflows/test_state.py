"""The ranges of a run (watermark, beyond, unsaved) against a model of sets of ordinals."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from activities.batches import BatchResult
from perdure.manifest import ManifestTotals
from tests.conformance.chains import make_chain
from workflows.state import (
    BATCHES_IN_A_LARGE_RUN,
    MAX_BATCH_BYTES,
    MAX_BATCH_DOCUMENTS,
    SMALL_RUN_DOCUMENTS,
    PipelineState,
    Range,
    merge_ranges,
)

RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


def ordinals(ranges: list[Range]) -> set[int]:
    return {ordinal for first, end in ranges for ordinal in range(first, end)}


def is_normal(ranges: list[Range]) -> bool:
    """Return whether the ranges are sorted, not empty, and do not touch."""
    return all(first < end for first, end in ranges) and all(
        before[1] < after[0] for before, after in itertools.pairwise(ranges)
    )


def totals(queued: int, queued_bytes: int = 0) -> ManifestTotals:
    return ManifestTotals(
        total=queued,
        processed=0,
        quarantined=0,
        cancelled=0,
        pending=queued,
        queued=queued,
        queued_bytes=queued_bytes,
        quality_sum=0.0,
    )


class Marks(RuleBasedStateMachine):
    """Starts batches in order, finishes them in any order, writes checkpoints, grows the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.state = PipelineState()
        self.in_flight: list[Range] = []
        self.finished: set[int] = set()
        self.covered: set[int] = set()
        self.writing: list[Range] | None = None

    @rule(more=st.integers(1, 30))
    def grow(self, more: int) -> None:
        self.state.grow(totals(self.state.queued + more))

    @precondition(lambda self: self.state.next_ordinal < self.state.queued)
    @rule(size=st.integers(1, 7))
    def take(self, size: int) -> None:
        before = self.state.next_ordinal
        first, end = self.state.next_batch(size)
        assert (first, end) == (before, min(self.state.queued, before + size))
        self.in_flight.append((first, end))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.in_flight))
        self.in_flight.remove(batch)
        self.state.finish(batch, BatchResult(processed=batch[1] - batch[0], quality_sum=0.5 * (batch[1] - batch[0])))
        self.finished |= ordinals([batch])

    @precondition(lambda self: self.writing is None)
    @rule()
    def begin_checkpoint(self) -> None:
        self.writing = list(self.state.unsaved)

    @precondition(lambda self: self.writing is not None)
    @rule()
    def checkpoint_is_written(self) -> None:
        assert self.writing is not None
        self.state.mark_saved(self.writing)
        self.covered |= ordinals(self.writing)
        self.writing = None

    @rule(first=st.integers(0, 60), length=st.integers(0, 6))
    def ask_if_saved(self, first: int, length: int) -> None:
        wanted = (first, first + length)
        if length:
            assert self.state.is_saved(wanted) == (ordinals([wanted]) <= self.covered)

    @invariant()
    def marks_say_what_is_finished(self) -> None:
        state = self.state
        assert set(range(state.watermark)) | ordinals(state.beyond) == self.finished
        assert ordinals(state.unsaved) == self.finished - self.covered
        assert is_normal(state.beyond)
        assert is_normal(state.unsaved)
        assert all(first > state.watermark for first, _ in state.beyond)
        assert state.processed == len(self.finished)
        assert len(state.beyond) <= len(self.in_flight)

    @invariant()
    def everything_taken_is_in_flight_or_finished(self) -> None:
        assert ordinals(self.in_flight) | self.finished == set(range(self.state.next_ordinal))


TestMarks = Marks.TestCase


@given(RANGES)
def test_merged_ranges_hold_the_same_ordinals_in_normal_form(ranges: list[Range]) -> None:
    result = merge_ranges(ranges)
    assert ordinals(result) == ordinals(ranges)
    assert is_normal(result)


@given(unsaved=RANGES.map(merge_ranges), saved=RANGES.map(merge_ranges))
def test_ranges_finished_during_a_checkpoint_stay_unsaved(unsaved: list[Range], saved: list[Range]) -> None:
    state = PipelineState(unsaved=unsaved)
    state.mark_saved(saved)
    assert ordinals(state.unsaved) == ordinals(unsaved) - ordinals(saved)


def test_range_is_saved_when_it_has_finished_and_a_checkpoint_covers_it() -> None:
    state = PipelineState(queued=9)
    batches = [state.next_batch(2) for _ in range(4)]
    state.finish(batches[1], BatchResult(processed=2))
    assert (state.watermark, state.beyond) == (0, [(2, 4)])
    assert not state.is_saved((2, 4))
    state.mark_saved([(2, 4)])
    assert state.is_saved((2, 4))
    assert not state.is_saved((1, 4))
    assert not state.is_saved((2, 5))
    state.finish(batches[0], BatchResult(processed=2))
    assert (state.watermark, state.beyond) == (4, [])
    assert not state.is_saved((0, 4))


def test_empty_range_of_an_empty_run_is_saved_without_a_checkpoint() -> None:
    assert PipelineState().is_saved((0, 0))


@pytest.mark.parametrize("outcome", ["processed", "quarantined"])
def test_empty_range_after_earlier_epochs_waits_for_the_first_checkpoint(outcome: str) -> None:
    state = PipelineState(total=1, **{outcome: 1})
    assert not state.is_saved((0, 0))
    state.latest = make_chain("run", 1)[0]
    assert state.is_saved((0, 0))


@given(queued=st.integers(1, 10**7), size_bytes=st.integers(0, 10**9))
def test_adaptive_batch_is_bounded_by_documents_and_bytes(queued: int, size_bytes: int) -> None:
    state = PipelineState(queued=queued, queued_bytes=size_bytes * queued)
    first, end = state.next_batch(0)
    documents = end - first
    assert 1 <= documents <= MAX_BATCH_DOCUMENTS
    assert documents == 1 or documents * size_bytes <= MAX_BATCH_BYTES
    assert queued > SMALL_RUN_DOCUMENTS or documents == 1


@pytest.mark.parametrize("queued", [501, 999, 1000, 19_999, 20_000])
def test_large_queue_is_divided_into_many_batches(queued: int) -> None:
    first, end = PipelineState(queued=queued).next_batch(0)
    assert 1 <= (end - first) <= queued / BATCHES_IN_A_LARGE_RUN


@given(queued=st.integers(1, 5000), batch_size=st.integers(0, 1000))
def test_batches_cover_the_queue_without_gap_or_overlap(queued: int, batch_size: int) -> None:
    state = PipelineState(queued=queued)
    position = 0
    while state.next_ordinal < queued:
        first, end = state.next_batch(batch_size)
        assert first == position < end
        position = end
    assert position == queued


def test_growing_the_queue_keeps_the_counts_of_finished_documents() -> None:
    state = PipelineState()
    state.take_totals(totals(3))
    state.next_batch(2)
    state.finish((0, 2), BatchResult(processed=1, quarantined=1, quality_sum=0.8))
    state.grow(totals(5))
    assert (state.total, state.queued, state.processed, state.quarantined) == (5, 5, 1, 1)
    assert state.remaining == 3
    assert state.quality_score == 0.8


def test_answers_of_two_additions_may_arrive_in_any_order() -> None:
    state = PipelineState()
    state.grow(totals(9, queued_bytes=900))
    state.grow(totals(5, queued_bytes=500))
    assert (state.total, state.queued, state.queued_bytes) == (9, 9, 900)


def test_new_epoch_starts_at_the_beginning_of_its_queue() -> None:
    state = PipelineState(epoch=1)
    state.take_totals(totals(9))
    batches = [state.next_batch(2) for _ in range(3)]
    state.finish(batches[0], BatchResult(processed=2, quality_sum=1.8))
    state.finish(batches[2], BatchResult(processed=2, quality_sum=1.8))
    dispatch = state.next_dispatch()
    state.begin_epoch(2, totals(7).model_copy(update={"processed": 2, "quality_sum": 1.6}))
    assert (state.epoch, state.queued, state.watermark) == (2, 7, 0)
    assert (state.beyond, state.unsaved) == ([], [])
    assert (state.processed, state.quality_score) == (2, 0.8)
    assert state.next_batch(3) == (0, 3)
    assert state.next_dispatch() > dispatch


def test_counts_of_the_manifest_replace_every_count_of_the_run() -> None:
    state = PipelineState()
    given = ManifestTotals(
        total=10, processed=4, quarantined=2, cancelled=1, queued=3, queued_bytes=300, quality_sum=2.0
    )
    state.take_totals(given)
    assert (state.total, state.processed, state.quarantined, state.cancelled) == (10, 4, 2, 1)
    assert (state.queued, state.queued_bytes) == (3, 300)
    assert (state.remaining, state.quality_score) == (4, 0.5)


def test_each_dispatch_gets_a_new_number() -> None:
    state = PipelineState()
    assert [state.next_dispatch() for _ in range(3)] == [1, 2, 3]
    restored = PipelineState.model_validate_json(state.model_dump_json())
    assert restored.next_dispatch() == 4
