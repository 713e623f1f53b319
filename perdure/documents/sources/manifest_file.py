"""Reads a manifest, `manifest:list.jsonl` or `manifest:list.csv`, in constant memory.

A line names one document, or one file of several documents. A line of JSON is a string or an object with a `uri`. A CSV
has a column `uri`; without it, the first column counts. Paths are relative to the manifest's folder. A line that names
no document counts as a document of the run, and is quarantined with its number.
"""

import csv
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import open_regular
from perdure.errors import InvalidSource, UnreadableDocument

PREFIX = "manifest:"
MAX_LINE_BYTES = 64 * 1024
_MAX_BRACKETS = 100
"""Most brackets in a line. The JSON library uses one level of Python's stack for each open bracket."""
LINE_PREFIX = "manifest+"
_REASONS = {
    "too-long": f"is longer than {MAX_LINE_BYTES // 1024} KB",
    "not-utf-8": "is no UTF-8",
    "not-json": "is no JSON",
    "too-deep": "holds too much besides a uri",
    "no-uri": "has no uri",
    "no-address": "names nothing that can be a document",
    "folder": "names a folder, not a document",
}


class InvalidLine(ValueError):
    """A line that names no document; the only argument is a key of `_REASONS`."""


def manifest_path(source: str) -> Path:
    """Return the path of the manifest that a source names.

    Raises:
        InvalidSource: the name of the file does not end in `.jsonl` or `.csv`.
    """
    path = path_of(source.removeprefix(PREFIX))
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise InvalidSource(f"The manifest '{shown(path)}' must have a name that ends in .jsonl or .csv.")
    return path


def read_lines(path: Path) -> Iterator[tuple[int, bytes, str | InvalidLine]]:
    """Yield number, bytes and entry of each line that is not empty.

    An `InvalidLine` stands in place of an entry that names no document.

    Raises:
        UnreadableDocument: the manifest is no regular file.
        OSError: the manifest cannot be read.
    """
    parse = _parse_json if path.suffix.lower() == ".jsonl" else _CsvParser().parse
    with open_regular(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                yield number, b"", InvalidLine("too-long")
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                entry = parse(text) if text else None
                if entry is not None:
                    yield number, line, entry
            except UnicodeDecodeError:
                yield number, line, InvalidLine("not-utf-8")
            except InvalidLine as reason:
                yield number, line, reason


def line_document(source: str, path: Path, number: int, line: bytes, reason: InvalidLine) -> DiscoveredDocument:
    """Return the document that stands in a run for a line that names none.

    Args:
        source: the manifest as a source.
        path: path of the manifest.
        number: number of the line, from 1.
        line: its bytes.
        reason: why it names no document.
    """
    return DiscoveredDocument(
        uri=f"{LINE_PREFIX}{uri_of(path)}!/{number}/{reason.args[0]}",
        name=shown(f"{path.name}/line {number}"),
        source=source,
        size_bytes=len(line),
        version=f"{len(line)}-{zlib.crc32(line):08x}",
    )


def line_refusal(uri: str) -> UnreadableDocument:
    """Return the reason for which a document of `line_document` cannot be read."""
    number, _, reason = uri.partition("!/")[2].partition("/")
    return UnreadableDocument(f"Line {number} of the manifest {_REASONS.get(reason, 'names no document')}.")


class _CsvParser:
    """Reads the column `uri` of a CSV; the first column if its first line has no such heading."""

    def __init__(self) -> None:
        self._column: int | None = None

    def parse(self, text: str) -> str | None:
        """Return the entry of a line; None for the headings; raise `InvalidLine` without an entry."""
        try:
            cells = next(csv.reader([text]), [])
        except csv.Error as error:
            raise InvalidLine("no-uri") from error
        if self._column is None:
            headings = [cell.strip().lower() for cell in cells]
            if "uri" in headings:
                self._column = headings.index("uri")
                return None
            self._column = 0
        return _check(cells[self._column].strip() if self._column < len(cells) else "")


def _parse_json(text: str) -> str:
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise InvalidLine("too-deep")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidLine("not-json") from error
    return _check(value.get("uri") if isinstance(value, dict) else value)


def _check(entry: object) -> str:
    if not isinstance(entry, str) or not entry.strip():
        raise InvalidLine("no-uri")
    return entry
