"""An honest score, from 0 to 1, of how well a document was read; the formula is explained in docs/quality.md."""

import re
from collections import Counter

from perdure.documents.extraction import Extracted

_WORD = re.compile(r"\S+")
_PLAUSIBLE = re.compile(r"[^\W\d_]{1,30}|[\d.,:/%+-]{1,30}|\W{1,5}|[\w.@'’&/+:%#=~?()-]{1,60}")  # noqa: RUF001 - as written
_VOWELS = re.compile(r"[aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüýÿ]", re.IGNORECASE)
_LATIN = re.compile(r"[a-zA-Z]{5,}")
_FLOOR = 0.4
_ENOUGH_WORDS = 3.0
_WARNING_FACTOR = 0.9
_SAMPLE_CHARACTERS = 200_000


def quality_score(extracted: Extracted) -> float:
    """0 for no text; otherwise legibility x plausibility x coverage x amount x warnings, rounded to 3 places."""
    text = extracted.text[:_SAMPLE_CHARACTERS]
    words = _WORD.findall(text)
    if not words:
        return 0.0
    score = (
        _legible(text)
        * (_FLOOR + (1 - _FLOOR) * _plausible(words))
        * (_FLOOR + (1 - _FLOOR) * _covered(extracted))
        * (len(words) / (len(words) + _ENOUGH_WORDS))
        * _WARNING_FACTOR ** len(extracted.warnings)
    )
    return round(score, 3)


def _legible(text: str) -> float:
    """Share of characters that stand for something: no replacement, control or private-use characters."""
    senseless = sum(count for character, count in Counter(text).items() if not _stands_for_something(character))
    return 1 - senseless / len(text)


def _stands_for_something(character: str) -> bool:
    return (
        character.isprintable() and not "\ue000" <= character <= "\uf8ff" and character != "\ufffd"
    ) or character.isspace()


def _plausible(words: list[str]) -> float:
    """Share of words that could be words: of reasonable length, and with a vowel where the script has them."""
    return sum(_could_be_a_word(word) for word in words) / len(words)


def _could_be_a_word(word: str) -> bool:
    if not _PLAUSIBLE.fullmatch(word):
        return False
    return all(_VOWELS.search(run) or run.isupper() for run in _LATIN.findall(word))


def _covered(extracted: Extracted) -> float:
    """Share of pages with text on them; 1 for a format without pages."""
    starts = extracted.page_offsets
    if not starts:
        return 1.0
    ends = [*starts[1:], len(extracted.text)]
    return sum(bool(extracted.text[start:end].strip()) for start, end in zip(starts, ends, strict=True)) / len(starts)
