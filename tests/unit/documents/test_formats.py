"""Each row of the table of formats is complete, and reads its documents."""

import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from perdure.documents.extraction import Extracted, extract
from perdure.documents.format import Format
from perdure.documents.formats import FORMATS, claimed_type, label_of
from perdure.documents.lazy_import import load
from perdure.documents.sniffing import sniff
from perdure.errors import DocumentError, UnsupportedFormat
from tests.unit.documents.samples_of_formats import ONLY_RECOGNISED, SAMPLES

HEAVY = ("kreuzberg", "pypdfium2", "pikepdf", "selectolax", "charset_normalizer", "lxml", "spacy", "PIL")


def find_problems(rows: Sequence[Format]) -> list[str]:
    """Return a sentence for each thing that is missing in a row, or that two rows share."""
    problems = []
    for row in rows:
        if not row.label.strip():
            problems.append("A row has no label.")
        if not row.media_types or not row.extensions:
            problems.append(f"{row.label} has no media type or no extension.")
        problems += [f"{row.label}: {name} is written wrongly." for name in row.extensions if not _is_plain(name)]
        problems += _problems_of_function(row.label, row.extractor, parameters=1)
        problems += _problems_of_function(row.label, row.why_no_text, parameters=2)
        if row.warm_up:
            problems += _problems_of_function(row.label, row.warm_up, parameters=0)
        if row.media_types and row.media_type not in SAMPLES:
            problems.append(f"{row.label} has no sample in samples_of_formats.py.")
    for names in (
        [row.label for row in rows],
        [media_type for row in rows for media_type in row.media_types],
        [extension for row in rows for extension in row.extensions],
    ):
        problems += [f"Two rows have {name}." for name, count in Counter(names).items() if count > 1]
    return problems


def _is_plain(extension: str) -> bool:
    return re.fullmatch(r"[a-z0-9]+", extension) is not None


def _problems_of_function(label: str, reference: str, parameters: int) -> list[str]:
    try:
        function = load(reference)
    except (ImportError, AttributeError, ValueError) as error:
        return [f"{label}: {reference} cannot be imported ({error})."]
    if len(inspect.signature(function).parameters) != parameters:
        return [f"{label}: {reference} does not take {parameters} parameters."]
    return []


def test_table_of_formats_is_complete() -> None:
    assert find_problems(FORMATS) == []
    assert SAMPLES.keys() == {row.media_type for row in FORMATS}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"label": " "}, "no label"),
        ({"media_types": ()}, "no media type"),
        ({"extensions": ()}, "no extension"),
        ({"extensions": (".PDF",)}, "written wrongly"),
        ({"extractor": "perdure.documents.extraction.nothing:extract"}, "cannot be imported"),
        ({"extractor": "perdure.documents.extraction.pdf:nothing"}, "cannot be imported"),
        ({"why_no_text": ""}, "cannot be imported"),
        ({"why_no_text": "perdure.documents.extraction.pdf:extract_pdf"}, "does not take 2"),
        ({"warm_up": "perdure.documents.extraction.ocr:nothing"}, "cannot be imported"),
        ({"media_types": ("application/x-other",)}, "no sample"),
        ({"label": FORMATS[1].label}, "Two rows have"),
        ({"media_types": ("application/pdf", "text/html")}, "Two rows have"),
        ({"extensions": ("pdf", "txt")}, "Two rows have"),
    ],
)
def test_incomplete_row_is_reported(changes: dict[str, object], problem: str) -> None:
    rows = (replace(FORMATS[0], **changes), *FORMATS[1:])  # type: ignore[arg-type]  # the fields differ in type
    assert any(problem in sentence for sentence in find_problems(rows))


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.label)
def test_format_recognises_its_sample(row: Format) -> None:
    name, make = SAMPLES[row.media_type]
    assert sniff(make(), name) == row.media_type


@pytest.mark.parametrize(
    "row", [row for row in FORMATS if row.media_type not in ONLY_RECOGNISED], ids=lambda row: row.label
)
def test_format_reads_its_sample(row: Format) -> None:
    assert extract(SAMPLES[row.media_type][1](), row.media_type).text.strip()


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.label)
def test_format_explains_a_missing_text_in_a_sentence(row: Format) -> None:
    reason = load(row.why_no_text)(SAMPLES[row.media_type][1](), Extracted(""))
    assert isinstance(reason, DocumentError)
    assert str(reason).endswith(".")


def test_last_format_takes_every_text() -> None:
    assert FORMATS[-1].media_type == "text/plain"
    assert sniff(b"just words", "noname") == claimed_type("noname") == claimed_type("a.pdf") == "text/plain"


@pytest.mark.parametrize(
    ("media_type", "label"),
    [
        ("application/vnd.oasis.opendocument.presentation", "OpenDocument presentation"),
        ("text/tab-separated-values", "TSV"),
        ("application/json", "JSON"),
        ("application/xml", "XML"),
        ("text/rtf", "RTF"),
        ("application/x-unknown", "application/x-unknown"),
    ],
)
def test_media_type_has_the_label_of_its_row(media_type: str, label: str) -> None:
    assert label_of(media_type) == label


def test_media_type_without_a_row_is_refused() -> None:
    with pytest.raises(UnsupportedFormat, match="application/x-unknown"):
        extract(b"x", "application/x-unknown")


def test_worker_imports_no_parser() -> None:
    program = (
        "import sys\n"
        "import perdure.documents.discovery, perdure.documents.processing, perdure.report.wording\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
