"""Chunks are ordered, bounded and disjoint, and hold everything but white space."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.analysis.chunking import MAX_CHUNK_CHARACTERS, chunk
from tests.unit.analysis.texts import PROSE, TEXTS


@settings(max_examples=60, deadline=None)
@given(TEXTS | PROSE | st.text(max_size=3000) | st.just("x" * 5000))
def test_chunks_are_ordered_bounded_and_hold_all_but_white_space(text: str) -> None:
    position = 0
    between = ""
    for passage in chunk(text):
        assert position <= passage.start < passage.end
        assert passage.end - passage.start <= MAX_CHUNK_CHARACTERS
        assert text[passage.start : passage.end].strip()
        between += text[position : passage.start]
        position = passage.end
    assert not (between + text[position:]).strip()


def test_megabyte_without_a_space_is_chunked() -> None:
    assert sum(passage.end - passage.start for passage in chunk("x" * 1_000_000)) == 1_000_000


@pytest.mark.parametrize("text", ["((" * 50_000, "1 2" * 60_000, "AB-" * 60_000, "a@" * 60_000])
@pytest.mark.timeout(180)
def test_hostile_texts_are_chunked_in_linear_time(text: str) -> None:
    assert len(chunk(text)) >= len(text) // MAX_CHUNK_CHARACTERS
