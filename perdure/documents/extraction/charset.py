"""Bytes to text when nobody says for certain how they are encoded."""

import codecs

from charset_normalizer import from_bytes

from perdure.analysis.language import detected_language
from perdure.errors import UnsupportedFormat

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_FALLBACK = "cp1252"
_CENTRAL_EUROPEAN = "cp1250"
_CENTRAL_EUROPEANS = ("cs", "sk", "pl", "hu", "ro", "hr", "sl", "sq", "sr", "bs")
_SAMPLE_BYTES = 200_000
MAX_CONTROL_SHARE = 0.01
MIN_UTF16_NUL_SHARE = 0.25


def decoded(content: bytes, declared: str | None = None) -> str:
    """The text, by its byte order mark, else UTF-8, else what is declared, else what it looks like most.

    Raises:
        UnsupportedFormat: the bytes are no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if _nul_share(content) > MIN_UTF16_NUL_SHARE:
        return _readable(_as_utf16(content))
    try:
        return _readable(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared:
        try:
            return _readable(content.decode(declared))
        except (LookupError, UnicodeDecodeError, ValueError):
            pass  # it lies, which is common
    return _readable(_guessed(content))


def _nul_share(content: bytes) -> float:
    sample = content[:_SAMPLE_BYTES]
    return sample.count(0) / max(1, len(sample))


def _as_utf16(content: bytes) -> str:
    """Of Latin text every other byte is NUL, and which tells the order of the bytes."""
    even, odd = content[0:_SAMPLE_BYTES:2].count(0), content[1:_SAMPLE_BYTES:2].count(0)
    return content.decode("utf-16-le" if odd > even else "utf-16-be", "replace")


def _guessed(content: bytes) -> str:
    best = from_bytes(content[:_SAMPLE_BYTES]).best()
    encoding = best.encoding if best else _FALLBACK
    text = content.decode(encoding, "replace")
    if encoding == _CENTRAL_EUROPEAN and detected_language(text) not in _CENTRAL_EUROPEANS:
        # The two agree on German, and on letters that French and Spanish have and Czech has not they cannot be told
        # apart by their shape: the words tell.
        return content.decode(_FALLBACK, "replace")
    return text


def _readable(text: str) -> str:
    """The text itself, unless too much of it is control characters."""
    controls = sum(1 for character in text if character < " " and character not in "\t\n\r\f\v\x1b")
    if controls > max(1, len(text) * MAX_CONTROL_SHARE):
        raise UnsupportedFormat("The file holds binary data of no format that is read here.")
    return text
