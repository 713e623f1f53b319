"""Measure the quality of extracted text, structure and metadata for each format.

    python benchmarks/extraction.py [--documents 10] [--seed 1] [--json FILE]

The first table compares the extraction of generated documents with their known content. If PERDURE_CORPUS names a
folder of real documents, the second table compares the extracted text with that of a second tool.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.extraction_sets import office_writers, page_writers
from benchmarks.extraction_sets.readers import SECOND_TOOLS, list_missing_types
from benchmarks.extraction_sets.scores import cells, compare, tokens, trigrams
from benchmarks.extraction_sets.truth import Table, Truth, generate, words_of
from perdure.documents.citation import locate
from perdure.documents.extraction import Extracted, extract
from perdure.documents.extraction.metadata import metadata_of
from perdure.documents.sniffing import sniff
from perdure.errors import DocumentError


@dataclass(frozen=True)
class Format:
    """The writer of a format, and the parts of a document that the format can hold."""

    write: Callable[[Truth], bytes]
    name: str
    pages: bool = False
    headings: Sequence[int] = (1, 2)
    """The levels that the format marks as headings."""
    tables: str = "all"
    """all: text and tables; only: tables alone; first: the first table alone; none: tables become plain text."""
    properties: Sequence[str] = ("title", "authors", "created", "language")


FORMATS = {
    "PDF": Format(page_writers.make_pdf, "a.pdf", True, tables="none", properties=("title", "authors", "language")),
    "PDF, two columns": Format(
        page_writers.make_two_column_pdf, "a.pdf", True, tables="none", properties=("title", "authors", "language")
    ),
    "DOCX": Format(office_writers.make_docx, "a.docx"),
    "PPTX": Format(office_writers.make_pptx, "a.pptx", True, headings=(1,)),
    "XLSX": Format(
        office_writers.make_xlsx, "a.xlsx", True, (1,), tables="only", properties=("title", "authors", "created")
    ),
    "ODT": Format(office_writers.make_odt, "a.odt"),
    "ODS": Format(office_writers.make_ods, "a.ods", True, (1,), tables="only"),
    "EPUB": Format(page_writers.make_epub, "a.epub"),
    "RTF": Format(page_writers.make_rtf, "a.rtf"),
    "HTML": Format(page_writers.make_html, "a.html"),
    "EML": Format(page_writers.make_mail, "a.eml"),
    "Markdown": Format(page_writers.make_markdown, "a.md"),
    "CSV": Format(page_writers.make_csv, "a.csv", headings=(), tables="first", properties=()),
    "plain text": Format(page_writers.make_text, "a.txt", headings=(), tables="none", properties=("language",)),
}
COLUMNS = ("precision", "recall", "F1", "order", "headings", "tables", "pages", "metadata")


def compare_with_truth(documents: int, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the mean scores of each format, from 0 to 1.

    A score is None if the format cannot hold what the score measures, such as tables.
    """
    results: dict[str, dict[str, float | None]] = {}
    for label, form in FORMATS.items():
        truths = [generate(seed + number) for number in range(documents)]
        contents = [form.write(truth) for truth in truths]
        began = time.process_time()
        extracted = [extract(content, sniff(content, form.name)) for content in contents]
        seconds = time.process_time() - began
        scores = [_score(form, truth, document) for truth, document in zip(truths, extracted, strict=True)]
        results[label] = {column: _mean([score[column] for score in scores]) for column in COLUMNS}
        results[label]["documents_a_second"] = round(documents / max(seconds, 1e-9), 1)
    return results


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 3) if known else None


def _score(form: Format, truth: Truth, extracted: Extracted) -> dict[str, float | None]:
    expected = _expected_text(form, truth, extracted)
    words = compare(tokens(extracted.text), tokens(expected))
    headings = [(heading.level, heading.text) for heading in truth.headings if heading.level in form.headings]
    if form.tables == "only":
        headings = [(1, name) for name in truth.names]
    located = [
        (section.level, section.heading)
        for section in extracted.sections
        if _is_at_offset(extracted.text, section.offset, section.heading)
    ]
    tables = [] if form.tables == "none" else truth.tables[: 1 if form.tables == "first" else None]
    return {
        "precision": words.precision,
        "recall": words.recall,
        "F1": words.f1,
        "order": compare(trigrams(extracted.text), trigrams(expected)).f1,
        "headings": compare(located, headings).f1 if headings else None,
        "tables": _score_tables(extracted, tables) if tables else None,
        "pages": _share_on_their_pages(form, truth, extracted) if form.pages else None,
        "metadata": _score_metadata(form, truth, extracted),
    }


def _score_tables(extracted: Extracted, expected: Sequence[Table]) -> float:
    return compare(cells(table.rows for table in extracted.tables), cells(table.rows for table in expected)).f1


def _expected_text(form: Format, truth: Truth, extracted: Extracted) -> str:
    if form.tables == "first":
        return words_of(truth.tables[0])
    if form.tables == "only":
        return "\n".join(f"{name}\n{words_of(table)}" for name, table in zip(truth.names, truth.tables, strict=True))
    if form.name == "a.md":  # the extracted text of Markdown includes its front matter
        return extracted.text.split("---\n", 2)[1] + truth.text
    if form.name == "a.eml":  # the extracted text of a mail includes its headers
        return extracted.text.split("\n\n", 1)[0] + "\n" + truth.text
    return truth.text


def _is_at_offset(text: str, offset: int, heading: str) -> bool:
    """Return whether the words of a heading are in the text at its offset."""
    return tokens(text[offset : offset + 2 * len(heading) + 8])[: len(tokens(heading))] == tokens(heading)


def _share_on_their_pages(form: Format, truth: Truth, extracted: Extracted) -> float:
    """Return the share of the blocks whose first word `locate` finds on the right page."""
    right = total = 0
    offsets = extracted.page_offsets
    for number, page in enumerate(truth.pages, start=1):
        start = offsets[number - 1] if number <= len(offsets) else len(extracted.text)
        for block in page:
            if form.tables == "only" and not isinstance(block, Table):
                continue
            first = words_of(block).split()[0]
            at = extracted.text.find(first, start)
            total += 1
            right += at >= 0 and locate(at, offsets, extracted.sections).page == number
    return right / total


def _score_metadata(form: Format, truth: Truth, extracted: Extracted) -> float | None:
    if not form.properties:
        return None
    metadata = metadata_of(extracted.properties, extracted.text)
    right = {
        "title": extracted.title == truth.title,
        "authors": metadata.authors == truth.authors,
        "created": metadata.created in (truth.created, truth.created[:10]),
        "language": metadata.language == truth.language,
    }
    return statistics.fmean(right[key] for key in form.properties)


def compare_with_second_tools(folder: Path) -> dict[str, dict[str, Any]]:
    """Return for each type the second tool, the agreement with it, and the worst documents."""
    results: dict[str, dict[str, Any]] = {}
    for kind, (tool, read) in SECOND_TOOLS.items():
        if kind in list_missing_types():
            results[kind] = {"tool": tool, "missing": True}
            continue
        each: list[tuple[float, float, str]] = []
        apart = {"only_here": 0, "only_there": 0, "neither": 0}
        for path in sorted((folder / kind).glob("*")):
            here = _read_here(path)
            there = _read_there(path, read)
            if here and there:
                order = compare(trigrams(here), trigrams(there)).f1
                each.append((compare(tokens(here), tokens(there)).f1, order, path.name))
            else:
                apart["only_here" if here else "only_there" if there else "neither"] += 1
        each.sort()
        results[kind] = {
            "tool": tool, "documents": len(each),
            "tokens": _mean([agreement for agreement, _, _ in each]),
            "order": _mean([agreement for _, agreement, _ in each]),
            **apart, "least": [(round(f1, 3), name) for f1, _, name in each[:4]],
        }  # fmt: skip
    return results


def _read_here(path: Path) -> str:
    try:
        content = path.read_bytes()
        return extract(content, sniff(content, path.name)).text
    except DocumentError:
        return ""


def _read_there(path: Path, read: Callable[[bytes], str]) -> str:
    try:
        with redirect_stderr(io.StringIO()):
            return read(path.read_bytes()).strip()
    except Exception:  # noqa: BLE001 - a tool may fail with any error; its text then counts as empty
        return ""


def _print_table(head: Sequence[str], rows: list[list[object]]) -> None:
    print("|", " | ".join(head), "|")
    print("|", " | ".join("---" for _ in head), "|")
    for row in rows:
        print("|", " | ".join(map(_format_cell, row)), "|")


def _format_cell(value: object) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - a dash stands for a missing value
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> int:
    """Measure, print the tables, and write the JSON."""
    parser = argparse.ArgumentParser(description="Measure the quality of extraction for each format.")
    parser.add_argument("--documents", type=int, default=10, help="number of generated documents for each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write all results to this file")
    arguments = parser.parse_args()
    truth = compare_with_truth(arguments.documents, arguments.seed)
    rows: list[list[object]] = [[label, *(scores[column] for column in COLUMNS)] for label, scores in truth.items()]
    _print_table(["format", *COLUMNS], rows)
    corpus = os.environ.get("PERDURE_CORPUS")
    second: dict[str, dict[str, Any]] = {}
    print()
    if corpus:
        second = compare_with_second_tools(Path(corpus) / "ordinary")
        head = ("type", "second tool", "documents", "tokens", "order", "only here", "only there", "neither")
        keys = ("tool", "documents", "tokens", "order", "only_here", "only_there", "neither")
        _print_table(head, [[kind, *(result.get(key) for key in keys)] for kind, result in second.items()])
        for kind in list_missing_types():
            print(f"{kind}: {SECOND_TOOLS[kind][0]} is not installed. Install it to compare this type.")
    else:
        print("PERDURE_CORPUS is not set. Set it to a folder of documents to compare with second tools.")
    if arguments.json:
        arguments.json.write_text(json.dumps({"truth": truth, "second_tools": second}, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
