"""Each passage has a unit vector, which does not depend on the passages beside it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS
from perdure.analysis.embeddings import WordLlamaEmbedder
from tests.unit.analysis.texts import LETTER


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=400), max_size=20))
def test_every_embedding_is_a_unit_vector(passages: list[str]) -> None:
    rows = WordLlamaEmbedder().embed(passages)
    assert rows.shape == (len(passages), EMBEDDING_DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_passage_has_the_same_vector_alone_and_among_others() -> None:
    alone = WordLlamaEmbedder().embed([LETTER])
    among = WordLlamaEmbedder().embed(["x", LETTER, "another, longer passage " * 20])
    assert np.array_equal(alone[0], among[1])
