"""Scores from 0 to 1 how well a document was read; docs/quality.md explains the formula."""

import re
from collections import Counter

from perdure.documents.extraction import Extracted

_WORD = re.compile(r"\S+")
_PLAUSIBLE = re.compile(r"[^\W\d_]{1,30}|[\d.,:/%+-]{1,30}|\W{1,5}|[\w.@'’&/+:%#=~?()-]{1,60}")  # noqa: RUF001 - texts contain it
_VOWELS = re.compile(r"[aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüýÿ]", re.IGNORECASE)
_LATIN = re.compile(r"[a-zA-Z]{5,}")
_FLOOR = 0.4
_ENOUGH_WORDS = 3.0
_WARNING_FACTOR = 0.9
_SAMPLE_CHARACTERS = 200_000


def quality_score(extracted: Extracted) -> float:
    """Return the product of the factors in docs/quality.md, rounded to 3 places.

    The score of an empty text is 0.
    """
    text = extracted.text[:_SAMPLE_CHARACTERS]
    words = _WORD.findall(text)
    if not words:
        return 0.0
    score = (
        _compute_legibility(text)
        * (_FLOOR + (1 - _FLOOR) * _compute_plausibility(words))
        * (_FLOOR + (1 - _FLOOR) * _compute_coverage(extracted))
        * (len(words) / (len(words) + _ENOUGH_WORDS))
        * _WARNING_FACTOR ** len(extracted.warnings)
    )
    return round(score, 3)


def _compute_legibility(text: str) -> float:
    """Return the share of characters that are no replacement, control or private-use characters."""
    illegible = sum(count for character, count in Counter(text).items() if not _is_legible(character))
    return 1 - illegible / len(text)


def _is_legible(character: str) -> bool:
    return (
        character.isprintable() and not "\ue000" <= character <= "\uf8ff" and character != "\ufffd"
    ) or character.isspace()


def _compute_plausibility(words: list[str]) -> float:
    """Return the share of plausible words: not too long, and in Latin script with a vowel."""
    return sum(_is_plausible(word) for word in words) / len(words)


def _is_plausible(word: str) -> bool:
    if not _PLAUSIBLE.fullmatch(word):
        return False
    return all(_VOWELS.search(run) or run.isupper() for run in _LATIN.findall(word))


def _compute_coverage(extracted: Extracted) -> float:
    """Return the share of pages with text on them; 1 for a format without pages."""
    starts = extracted.page_offsets
    if not starts:
        return 1.0
    ends = [*starts[1:], len(extracted.text)]
    return sum(bool(extracted.text[start:end].strip()) for start, end in zip(starts, ends, strict=True)) / len(starts)
