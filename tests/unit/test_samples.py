"""The samples are reproducible, and hold the story and the names that docs/samples.md lists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from tools.samples.catalogue import DOCUMENTS
from tools.samples.sheets import read_sheets

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sample_is_reproduced_byte_for_byte(name: str) -> None:
    assert DOCUMENTS[name]() == (SAMPLES / name).read_bytes()


def test_samples_folder_holds_only_the_catalogued_documents() -> None:
    files = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.is_file()}
    assert files == set(DOCUMENTS)


def test_samples_are_at_least_20_documents_in_8_formats() -> None:
    assert len(DOCUMENTS) >= 20
    assert len({Path(name).suffix for name in DOCUMENTS}) >= 8


def test_feasibility_study_is_a_long_pdf_with_page_numbers() -> None:
    document = pypdfium2.PdfDocument(SAMPLES / "works/feasibility-study.pdf")
    try:
        assert len(document) >= 10
        for number, page in enumerate(document, start=1):
            assert f"Page {number}" in page.get_textpage().get_text_range()
    finally:
        document.close()


def test_diary_is_long_enough_to_interrupt_its_processing() -> None:
    assert len((SAMPLES / "works/diary.txt").read_text(encoding="utf-8").split()) > 20_000


def read_story() -> str:
    """Return the sources of all samples as a single text, with single spaces."""
    sources = sorted((ROOT / "tools/samples/story").iterdir())
    assert len(sources) >= 20
    text = " ".join(path.read_text(encoding="utf-8") for path in sources)
    return " ".join(text.split())


def read_spellings() -> Iterator[str]:
    """Yield the spellings in the ground truth of docs/samples.md."""
    truth = (ROOT / "docs/samples.md").read_text(encoding="utf-8").split("## The ground truth of identities")[1]
    for row in truth.splitlines():
        if row.startswith("|"):
            yield from re.findall(r"`([^`]+)`", row)


def test_every_spelling_of_the_ground_truth_is_in_the_story() -> None:
    text = read_story()
    names = list(read_spellings())
    assert len(names) > 100
    assert [name for name in names if name not in text] == []


def test_sums_of_the_budget_are_correct() -> None:
    budget, funding, contingency = (sheet["rows"] for sheet in read_sheets("budget.yaml")["sheets"])
    agreed = sum(row[2] for row in budget[:-1])
    spent = sum(row[3] for row in budget[:-1])
    assert [agreed, spent, spent - agreed] == [cell[1] for cell in budget[-1][2:]] == [4_860_000, 4_912_300, 52_300]
    for row in budget[:-1]:
        assert row[3] - row[2] == row[4][1]
    assert sum(row[1] for row in funding[:-1]) == agreed == funding[-1][1][1]
    assert sum(row[2] for row in funding[:-1]) == spent == funding[-1][2][1]
    assert sum(row[3] for row in contingency[:-1]) == budget[-2][3] == contingency[-1][3][1]
