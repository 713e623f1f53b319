"""Extracts plain text, and tables of text such as CSV."""

import csv
import io

from perdure.documents.document import Table
from perdure.documents.extraction.charset import decode_text
from perdure.documents.extraction.extracted import Extracted, ExtractionInput

_SNIFF_CHARACTERS = 8192
_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 10_000_000


def read_text(content: bytes) -> str:
    """Return a file's text with line feeds as its only line breaks.

    Raises:
        UnsupportedFormat: the bytes are no text.
    """
    return decode_text(content).replace("\r\n", "\n").replace("\r", "\n")


def extract_text(document: ExtractionInput) -> Extracted:
    """Return the text as it is written.

    Raises:
        UnsupportedFormat: the file is no text.
    """
    return Extracted(read_text(document.content))


def extract_table(document: ExtractionInput) -> Extracted:
    """Return the rows that are not empty as lines with tabs between cells, and as a table.

    Raises:
        UnsupportedFormat: the file is no text.
    """
    text = read_text(document.content)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:_SNIFF_CHARACTERS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error:
        return Extracted(text, warnings=("The rows could not be told apart; it was read as plain text.",))
    joined = "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows)
    columns = max(map(len, rows), default=0)
    table = Table(0, len(joined), tuple(map(tuple, rows)))
    return Extracted(joined, properties={"rows": len(rows), "columns": columns}, tables=(table,) if columns > 1 else ())
