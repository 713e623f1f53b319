"""Detects the language of a text, as an ISO 639-1 code.

The caller prefers a language that the document declares. Kreuzberg's whatlang detects the language, because whatlang
loads at once. The model of py3langid takes 0.8 s to load, which is too long for a worker that must recover within two
seconds.
"""

import re
from functools import cache
from typing import Any

import kreuzberg

_SAMPLE_CHARACTERS = 4_000
_MIN_LETTERS = 60
"""With fewer letters, the detection confuses languages of the same script."""
_MIN_CONFIDENCE = 0.8
_DECLARED = re.compile(r"([a-z]{2,3})(?:[-_].*)?", re.IGNORECASE | re.DOTALL)
_LETTERS = re.compile(r"[^\W\d_]+")
_THREE_LETTERS = (
    "afr:af aka:ak alb:sq amh:am ara:ar aze:az bel:be ben:bn bul:bg cat:ca ces:cs chi:zh cmn:zh cym:cy cze:cs dan:da "
    "deu:de dut:nl ell:el eng:en epo:eo est:et eus:eu fas:fa fin:fi fra:fr fre:fr ger:de gle:ga gre:el guj:gu heb:he "
    "hin:hi hrv:hr hun:hu hye:hy ice:is ind:id isl:is ita:it jav:jv jpn:ja kan:kn kat:ka khm:km kor:ko lat:la lav:lv "
    "lit:lt mal:ml mar:mr mkd:mk mya:my nep:ne nld:nl nno:nn nob:nb nor:no ori:or pan:pa per:fa pes:fa pol:pl por:pt "
    "ron:ro rum:ro rus:ru sin:si slk:sk slo:sk slv:sl sna:sn spa:es sqi:sq srp:sr swa:sw swe:sv tam:ta tel:te tgl:tl "
    "tha:th tuk:tk tur:tr ukr:uk urd:ur uzb:uz vie:vi yid:yi zho:zh zul:zu"
)
_ONLY_TWO_LETTERS = (
    "as ay ba bo br bs dv fo fy gd gl ha ig iu kk ku ky lb lo mg mi mn ms mt oc ps qu rm rw sa sd se sm so st su ti tg "
    "ts tt ug wo xh yo"
)
_BY_THREE_LETTERS = dict(pair.split(":") for pair in _THREE_LETTERS.split(" "))
_TWO_LETTERS = frozenset(_BY_THREE_LETTERS.values()) | frozenset(_ONLY_TWO_LETTERS.split(" "))


def iso_language(declared: str) -> str | None:
    """Return the two-letter code of a declared language; None if the text names no language.

    Args:
        declared: a text such as `en-GB`, `EN_us` or `eng` (each gives `en`), `und` or `x-none` (each gives None).
    """
    match = _DECLARED.fullmatch(declared.strip())
    if match is None:
        return None
    code = match.group(1).lower()
    return code if code in _TWO_LETTERS else _BY_THREE_LETTERS.get(code)


def detected_language(text: str) -> str | None:
    """Return the language of the text's beginning; None if the detection is uncertain."""
    sample = " ".join(_LETTERS.findall(text[:_SAMPLE_CHARACTERS]))
    if len(sample) < _MIN_LETTERS:
        return None
    languages = kreuzberg.extract_bytes_sync(sample.encode(), "text/plain", config=_make_config()).detected_languages
    return _BY_THREE_LETTERS.get(languages[0]) if languages else None


@cache
def _make_config() -> Any:
    detection = kreuzberg.LanguageDetectionConfig(enabled=True, min_confidence=_MIN_CONFIDENCE, detect_multiple=False)
    return kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True, language_detection=detection)  # type: ignore[call-arg] # missing in its stubs
