"""Plain text, Markdown and CSV."""

import csv
import io

from perdure.documents import sniffing
from perdure.documents.extraction.charset import decoded
from perdure.documents.extraction.extracted import Extracted

_SNIFF_CHARACTERS = 8192
_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 10_000_000
_HEADING = "# "


def extract_text(content: bytes, media_type: str) -> Extracted:
    """The text as it stands; of CSV, one line a row with its cells separated by tabs.

    Raises:
        UnsupportedFormat: it is not text.
    """
    text = decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    if media_type in (sniffing.CSV, sniffing.TSV):
        return _table(text)
    title = None
    if media_type == sniffing.MARKDOWN:
        title = next(
            (line.removeprefix(_HEADING).strip() for line in text.split("\n") if line.startswith(_HEADING)), None
        )
    return Extracted(text, title or None)


def _table(text: str) -> Extracted:
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:_SNIFF_CHARACTERS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error:
        return Extracted(text, warnings=("The rows could not be told apart; it was read as plain text.",))
    lines = ["\t".join(" ".join(cell.split()) for cell in row) for row in rows]
    return Extracted("\n".join(lines), properties={"rows": len(rows), "columns": max(map(len, rows), default=0)})
