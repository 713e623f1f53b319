"""How well text, structure and metadata come out of each format.

    python benchmarks/extraction.py [--documents 10] [--seed 1] [--json FILE]

First against ground truth: documents made here, of which every word is known. Then, if PERDURE_CORPUS names a folder of
real documents, agreement with a second tool for every type that has one.
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
from benchmarks.extraction_sets.readers import SECOND_TOOLS, missing
from benchmarks.extraction_sets.scores import cells, compared, runs, tokens
from benchmarks.extraction_sets.truth import Table, Truth, made_up, words_of
from perdure.documents.citation import locate
from perdure.documents.extraction import Extracted, extract
from perdure.documents.extraction.metadata import metadata_of
from perdure.documents.sniffing import sniff
from perdure.errors import DocumentError


@dataclass(frozen=True)
class Format:
    """How a format is written, and what of the truth it carries."""

    write: Callable[[Truth], bytes]
    name: str
    pages: bool = False
    headings: Sequence[int] = (1, 2)
    """Levels that are headings there."""
    tables: str = "all"
    """all: among the other words; only: nothing else; first: the first one only; none: not as tables."""
    said: Sequence[str] = ("title", "authors", "created", "language")


FORMATS = {
    "PDF": Format(page_writers.pdf_bytes, "a.pdf", True, tables="none", said=("title", "authors", "language")),
    "PDF, two columns": Format(
        page_writers.two_column_pdf_bytes, "a.pdf", True, tables="none", said=("title", "authors", "language")
    ),
    "DOCX": Format(office_writers.docx_bytes, "a.docx"),
    "PPTX": Format(office_writers.pptx_bytes, "a.pptx", True, headings=(1,)),
    "XLSX": Format(
        office_writers.xlsx_bytes, "a.xlsx", True, (1,), tables="only", said=("title", "authors", "created")
    ),
    "ODT": Format(office_writers.odt_bytes, "a.odt"),
    "ODS": Format(office_writers.ods_bytes, "a.ods", True, (1,), tables="only"),
    "EPUB": Format(page_writers.epub_bytes, "a.epub"),
    "RTF": Format(page_writers.rtf_bytes, "a.rtf"),
    "HTML": Format(page_writers.html_bytes, "a.html"),
    "EML": Format(page_writers.mail_bytes, "a.eml"),
    "Markdown": Format(page_writers.markdown_bytes, "a.md"),
    "CSV": Format(page_writers.csv_bytes, "a.csv", headings=(), tables="first", said=()),
    "plain text": Format(page_writers.text_bytes, "a.txt", headings=(), tables="none", said=("language",)),
}
COLUMNS = ("precision", "recall", "F1", "order", "headings", "tables", "pages", "metadata")


def against_truth(documents: int, seed: int) -> dict[str, dict[str, float | None]]:
    """Format to its mean scores, each from 0 to 1; None where the format has nothing of the kind."""
    results: dict[str, dict[str, float | None]] = {}
    for label, form in FORMATS.items():
        truths = [made_up(seed + number) for number in range(documents)]
        contents = [form.write(truth) for truth in truths]
        began = time.process_time()
        found = [extract(content, sniff(content, form.name)) for content in contents]
        seconds = time.process_time() - began
        scores = [_scores(form, truth, one) for truth, one in zip(truths, found, strict=True)]
        results[label] = {column: _mean([one[column] for one in scores]) for column in COLUMNS}
        results[label]["documents_a_second"] = round(documents / max(seconds, 1e-9), 1)
    return results


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 3) if known else None


def _scores(form: Format, truth: Truth, found: Extracted) -> dict[str, float | None]:
    wanted = _wanted_text(form, truth, found)
    words = compared(tokens(found.text), tokens(wanted))
    headings = [(one.level, one.text) for one in truth.headings if one.level in form.headings]
    if form.tables == "only":
        headings = [(1, name) for name in truth.names]
    stand = [(one.level, one.heading) for one in found.sections if _stands(found.text, one.offset, one.heading)]
    tables = [] if form.tables == "none" else truth.tables[: 1 if form.tables == "first" else None]
    return {
        "precision": words.precision,
        "recall": words.recall,
        "F1": words.f1,
        "order": compared(runs(found.text), runs(wanted)).f1,
        "headings": compared(stand, headings).f1 if headings else None,
        "tables": compared(cells(one.rows for one in found.tables), cells(one.rows for one in tables)).f1
        if tables
        else None,
        "pages": _on_their_pages(form, truth, found) if form.pages else None,
        "metadata": _metadata(form, truth, found),
    }


def _wanted_text(form: Format, truth: Truth, found: Extracted) -> str:
    if form.tables == "first":
        return words_of(truth.tables[0])
    if form.tables == "only":
        return "\n".join(f"{name}\n{words_of(one)}" for name, one in zip(truth.names, truth.tables, strict=True))
    if form.name == "a.md":  # which keeps its front matter as text
        return found.text.split("---\n", 2)[1] + truth.text
    if form.name == "a.eml":  # whose headers are part of its text
        return found.text.split("\n\n", 1)[0] + "\n" + truth.text
    return truth.text


def _stands(text: str, offset: int, heading: str) -> bool:
    """Whether the words of a heading stand where its offset says."""
    return tokens(text[offset : offset + 2 * len(heading) + 8])[: len(tokens(heading))] == tokens(heading)


def _on_their_pages(form: Format, truth: Truth, found: Extracted) -> float:
    """Share of the blocks whose first words `locate` finds on their page."""
    right = total = 0
    for number, page in enumerate(truth.pages, start=1):
        start = found.page_offsets[number - 1] if number <= len(found.page_offsets) else len(found.text)
        for block in page:
            if form.tables == "only" and not isinstance(block, Table):
                continue
            first = words_of(block).split()[0]
            at = found.text.find(first, start)
            total += 1
            right += at >= 0 and locate(at, found.page_offsets, found.sections).page == number
    return right / total


def _metadata(form: Format, truth: Truth, found: Extracted) -> float | None:
    if not form.said:
        return None
    told = metadata_of(found.properties, found.text)
    right = {
        "title": found.title == truth.title,
        "authors": told.authors == truth.authors,
        "created": told.created in (truth.created, truth.created[:10]),
        "language": told.language == truth.language,
    }
    return statistics.fmean(right[key] for key in form.said)


def against_second_tools(folder: Path) -> dict[str, dict[str, Any]]:
    """Type to the tool, the mean agreement of tokens and of their order, and the documents that agree least."""
    results: dict[str, dict[str, Any]] = {}
    for kind, (tool, read) in SECOND_TOOLS.items():
        if kind in missing():
            results[kind] = {"tool": tool, "missing": True}
            continue
        each: list[tuple[float, float, str]] = []
        apart = {"only_here": 0, "only_there": 0, "neither": 0}
        for path in sorted((folder / kind).glob("*")):
            here, there = _read_here(path), _read_there(path, read)
            if here and there:
                each.append((compared(tokens(here), tokens(there)).f1, compared(runs(here), runs(there)).f1, path.name))
            else:
                apart["only_here" if here else "only_there" if there else "neither"] += 1
        each.sort()
        results[kind] = {
            "tool": tool, "documents": len(each),
            "tokens": round(statistics.fmean(one[0] for one in each), 3) if each else None,
            "order": round(statistics.fmean(one[1] for one in each), 3) if each else None,
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
    except Exception:  # noqa: BLE001 - a tool that fails is one that found nothing
        return ""


def _print_table(head: Sequence[str], rows: list[list[object]]) -> None:
    print("|", " | ".join(head), "|")
    print("|", " | ".join("---" for _ in head), "|")
    for row in rows:
        print("|", " | ".join("–" if one is None else f"{one:.3f}" if isinstance(one, float) else str(one)  # noqa: RUF001
                              for one in row), "|")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="How well text, structure and metadata come out of each format.")
    parser.add_argument("--documents", type=int, default=10, help="how many to make of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    asked = parser.parse_args()
    truth = against_truth(asked.documents, asked.seed)
    _print_table(["format", *COLUMNS], [[label, *(one[column] for column in COLUMNS)] for label, one in truth.items()])
    corpus, second = os.environ.get("PERDURE_CORPUS"), {}
    print()
    if corpus:
        second = against_second_tools(Path(corpus) / "ordinary")
        head = ("type", "second tool", "documents", "tokens", "order", "only here", "only there", "neither")
        keys = ("tool", "documents", "tokens", "order", "only_here", "only_there", "neither")
        _print_table(head, [[kind, *(one.get(key) for key in keys)] for kind, one in second.items()])
        for kind in missing():
            print(f"{kind}: {SECOND_TOOLS[kind][0]} is not installed here.")
    else:
        print("PERDURE_CORPUS is not set: nothing was compared with second tools.")
    if asked.json:
        asked.json.write_text(json.dumps({"truth": truth, "second_tools": second}, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
