"""Chunks, mentions, embeddings and the score: promises that hold for any text."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.analysis.chunking import MAX_CHUNK_CHARACTERS, chunk
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.analysis.mention_rules import rule_mentions
from perdure.analysis.mentions import mentions, normalise
from perdure.documents.extraction import Extracted
from perdure.documents.processing import storable
from perdure.documents.quality import quality_score

texts = st.text(max_size=3000) | st.lists(
    st.sampled_from(
        ["Ada Lovelace", "£1,940,000", "5 June 1833", "\n\n", "Harbour & Finch Ltd", "x" * 900, "Köln", "a@b.org"]
    )
).map(" ".join)


@given(texts)
@settings(deadline=None)
def test_chunks_are_ordered_disjoint_bounded_and_hold_all_that_is_not_space(text: str) -> None:
    chunks = chunk(text)
    assert all(one.end - one.start <= MAX_CHUNK_CHARACTERS for one in chunks)
    assert all(before.end <= after.start for before, after in pairwise(chunks))
    covered = "".join(text[one.start : one.end] for one in chunks)
    assert "".join(covered.split()) == "".join(text.split())


@given(texts)
@settings(deadline=None, max_examples=40)
def test_mentions_cut_their_surface_out_of_the_text_and_never_overlap(text: str) -> None:
    found = mentions(text)
    assert all(text[one.start : one.end] == one.surface and one.normalised for one in found)
    assert all(before.end <= after.start for before, after in pairwise(found))


def test_a_megabyte_without_a_space_is_chunked() -> None:
    assert sum(one.end - one.start for one in chunk("x" * 1_000_000)) == 1_000_000


@pytest.mark.parametrize(
    ("text", "kind", "normalised"),
    [
        ("on 5 June 1833 in", "date", "1833-06-05"),
        ("on June 5th, 1833", "date", "1833-06-05"),
        ("on 1833-06-05", "date", "1833-06-05"),
        ("am 05.06.1833", "date", "1833-06-05"),
        ("since March 2024", "date", "2024-03"),
        ("cost £1,940,000 in", "money", "GBP 1940000"),
        ("cost GBP 1.94 million", "money", "GBP 1940000"),
        ("kostet 12,50 € heute", "money", "EUR 12.50"),
        ("some 430,000 pounds sterling", "money", "GBP 430000"),
        ("write to Ada@Example.ORG.", "email", "ada@example.org"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "identifier", "GB82WEST12345698765432"),
        ("contract HF-SHT-23/041", "identifier", "HF-SHT-23/041"),
    ],
)
def test_what_has_a_written_form_is_found_and_normalised(text: str, kind: str, normalised: str) -> None:
    assert (kind, normalised) in [(one.kind, one.normalised) for one in rule_mentions(text)]


@pytest.mark.parametrize("text", ["on 2020-02-31", "GB00 WEST 1234 5698 7654 32", "version 1.2.3", "10/2024"])
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert not list(rule_mentions(text))


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("organisation", ["Harbour & Finch Ltd", "Harbour and Finch Limited", "the Harbour and Finch Ltd."]),
        ("person", ["Dr. Amara Okafor", "Amara Okafor", "OKAFOR, Amara", "Amara  Okafor's"]),
        ("place", ["the Old Quay", "Old Quay"]),
    ],
)
def test_spellings_of_one_name_meet_in_one_normalised_form(kind: str, spellings: list[str]) -> None:
    assert len({normalise(spelling, kind) for spelling in spellings}) == 1


def test_people_organisations_and_places_are_recognised() -> None:
    found = mentions("Angela Merkel visited Siemens in Berlin and met Barack Obama of the United Nations.")
    assert {"person", "organisation", "place"} <= {one.kind for one in found}


@given(st.lists(st.text(max_size=200), max_size=20))
@settings(deadline=None)
def test_every_embedding_is_a_unit_vector(passages: list[str]) -> None:
    vectors = WordLlamaEmbedder().embed(passages)
    assert vectors.shape == (len(passages), 256)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@given(texts)
def test_the_score_stays_between_0_and_1(text: str) -> None:
    assert 0.0 <= quality_score(Extracted(text)) <= 1.0


def test_the_score_is_0_without_text_and_falls_with_what_is_lost() -> None:
    prose = "The quay wall was finished in the autumn, and the lamp was lit again. " * 20
    broken = "".join("\ufffd" if index % 3 == 0 else character for index, character in enumerate(prose))
    half = Extracted(prose + "\n\n", page_offsets=(0, len(prose)))
    assert quality_score(Extracted("  ")) == 0.0
    assert quality_score(Extracted(prose)) > 0.9
    assert quality_score(Extracted(broken)) < 0.6
    assert quality_score(half) < quality_score(Extracted(prose)) - 0.2
    assert quality_score(Extracted(prose, warnings=("a.",))) < quality_score(Extracted(prose))


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_stored_holds_no_nul_and_no_lone_surrogate(value: object) -> None:
    assert "\0" not in str(storable(value))
    str(storable("\ud800 and \0")).encode()
