"""A manifest file, `manifest:list.jsonl` or `manifest:list.csv`: each line names one document, or one file of several.

A line of JSON is a string or an object with a `uri`; a CSV has a column `uri`, else the first one counts. Paths are
relative to the manifest's folder. A line that names no document is a document all the same, and ends quarantined with
its number: nothing is passed over in silence. Lines are read one by one, in constant memory.
"""

import csv
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import open_regular
from perdure.errors import InvalidSource, SourceNotFound, UnreadableDocument

PREFIX = "manifest:"
MAX_LINE_BYTES = 64 * 1024
_MAX_BRACKETS = 100
"""Of one line: the library that reads them calls itself for each level."""
_LINE = "manifest+"
_WHY = {
    "too-long": f"is longer than {MAX_LINE_BYTES // 1024} KB",
    "not-utf-8": "is no UTF-8",
    "not-json": "is no JSON",
    "too-deep": "holds too much besides a uri",
    "no-uri": "has no uri",
    "no-address": "names nothing that can be a document",
    "folder": "names a folder, not a document",
}


class Nonsense(ValueError):
    """A line that names no document; its only argument is a key of the reasons above."""


def is_manifest(source: str) -> bool:
    return source.startswith(PREFIX)


def manifest_path(source: str) -> Path:
    """The file that lists the documents.

    Raises:
        InvalidSource: it is not called `.jsonl` or `.csv`.
    """
    path = path_of(source.removeprefix(PREFIX))
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise InvalidSource(f"The manifest '{shown(path)}' is called neither .jsonl nor .csv.")
    return path


def check_manifest(source: str) -> None:
    """See that it lists something.

    Raises:
        SourceNotFound: the file is not there.
        InvalidSource: it cannot be read, or has no entries.
    """
    path = manifest_path(source)
    try:
        empty = next(entries(path), None) is None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is no manifest '{shown(path)}'.") from error
    except (OSError, UnreadableDocument) as error:
        raise InvalidSource(f"The manifest '{shown(path)}' cannot be read.") from error
    if empty:
        raise InvalidSource(f"The manifest '{shown(path)}' lists no documents.")


def entries(path: Path) -> Iterator[tuple[int, bytes, str | Nonsense]]:
    """Number, bytes and entry of each line that is not empty.

    Raises:
        UnreadableDocument: it is no regular file.
        OSError: it cannot be read.
    """
    column: int | None = None
    with open_regular(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                yield number, b"", Nonsense("too-long")
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if not text:
                    continue
                if path.suffix.lower() == ".jsonl":
                    yield number, line, _of_json(text)
                    continue
                cells = next(csv.reader([text]), [])
                if column is None:
                    heads = [one.strip().lower() for one in cells]
                    column = heads.index("uri") if "uri" in heads else 0
                    if "uri" in heads:
                        continue
                yield number, line, _of_cells(cells, column)
            except UnicodeDecodeError:
                yield number, line, Nonsense("not-utf-8")
            except (Nonsense, csv.Error) as nonsense:
                yield number, line, nonsense if isinstance(nonsense, Nonsense) else Nonsense("no-uri")


def line_document(source: str, path: Path, number: int, line: bytes, nonsense: Nonsense) -> DiscoveredDocument:
    """What stands in the list for a line that names no document."""
    return DiscoveredDocument(
        uri=f"{_LINE}{uri_of(path)}!/{number}/{nonsense.args[0]}",
        name=shown(f"{path.name}/line {number}"),
        source=source,
        size_bytes=len(line),
        version=f"{len(line)}-{zlib.crc32(line):08x}",
    )


def is_line(uri: str) -> bool:
    """Whether the URI is one of `line_document`."""
    return uri.startswith(_LINE)


def refuse_line(uri: str) -> None:
    """Raises `UnreadableDocument`, with the line's number and fault, if the URI is one of `line_document`."""
    if is_line(uri):
        number, _, why = uri.partition("!/")[2].partition("/")
        raise UnreadableDocument(f"Line {number} of the manifest {_WHY.get(why, 'names no document')}.")


def _of_json(text: str) -> str:
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise Nonsense("too-deep")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Nonsense("not-json") from error
    return _checked(value.get("uri") if isinstance(value, dict) else value)


def _of_cells(cells: list[str], column: int) -> str:
    return _checked(cells[column].strip() if column < len(cells) else "")


def _checked(entry: object) -> str:
    if not isinstance(entry, str) or not entry.strip():
        raise Nonsense("no-uri")
    return entry
