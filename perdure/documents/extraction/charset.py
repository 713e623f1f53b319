"""Decodes bytes to text where the encoding is not known for certain."""

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


def decode_text(content: bytes, declared: str | None = None) -> str:
    """Decode by the byte order mark, else as UTF-8, else as declared, else by a guess.

    Args:
        content: content of the file.
        declared: the encoding that the document declares; None if it declares none.

    Raises:
        UnsupportedFormat: the bytes are no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if _compute_nul_share(content) > MIN_UTF16_NUL_SHARE:
        return _check_readable(_decode_utf16(content))
    try:
        return _check_readable(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared:
        try:
            return _check_readable(content.decode(declared))
        except (LookupError, UnicodeDecodeError, ValueError):
            pass  # declarations are often wrong, so a guess follows
    return _check_readable(_guess(content))


def _compute_nul_share(content: bytes) -> float:
    sample = content[:_SAMPLE_BYTES]
    return sample.count(0) / max(1, len(sample))


def _decode_utf16(content: bytes) -> str:
    """Decode UTF-16 without a byte order mark.

    In Latin text, the high byte of nearly every character is NUL.
    """
    even = content[0:_SAMPLE_BYTES:2].count(0)
    odd = content[1:_SAMPLE_BYTES:2].count(0)
    return content.decode("utf-16-le" if odd > even else "utf-16-be", "replace")


def _guess(content: bytes) -> str:
    best = from_bytes(content[:_SAMPLE_BYTES]).best()
    encoding = best.encoding if best else _FALLBACK
    text = content.decode(encoding, "replace")
    if encoding == _CENTRAL_EUROPEAN and detected_language(text) not in _CENTRAL_EUROPEANS:
        # German bytes give the same text in both encodings. French and Spanish bytes give plausible letters in both,
        # so only the language of the words shows that the guess of a Central European encoding is wrong.
        return content.decode(_FALLBACK, "replace")
    return text


def _check_readable(text: str) -> str:
    """Return the text; raise `UnsupportedFormat` if more than 1 % of it is control characters."""
    controls = sum(1 for character in text if character < " " and character not in "\t\n\r\f\v\x1b")
    if controls > max(1, len(text) * MAX_CONTROL_SHARE):
        raise UnsupportedFormat("The file holds binary data of no format that is read here.")
    return text
