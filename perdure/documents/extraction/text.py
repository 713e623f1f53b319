"""Plain text, Markdown and CSV."""

import csv
import io

from perdure.documents import sniffing
from perdure.documents.document import Table
from perdure.documents.extraction.charset import decoded
from perdure.documents.extraction.extracted import Extracted
from perdure.documents.extraction.markdown import markdown_structure

_SNIFF_CHARACTERS = 8192
_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 10_000_000


def extract_text(content: bytes, media_type: str) -> Extracted:
    """The text as it stands; of CSV, one line a row with its cells separated by tabs.

    Raises:
        UnsupportedFormat: it is not text.
    """
    text = decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    if media_type in (sniffing.CSV, sniffing.TSV):
        return _table(text)
    if media_type != sniffing.MARKDOWN:
        return Extracted(text)
    found = markdown_structure(text)
    main = next((section.heading for section in found.sections if section.level == 1), None)
    title = found.properties.pop("title", None) or main
    return Extracted(
        text, title or None, properties=found.properties, sections=tuple(found.sections), tables=tuple(found.tables)
    )


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
    joined = "\n".join(lines)
    columns = max(map(len, rows), default=0)
    table = Table(0, len(joined), tuple(map(tuple, rows)))
    return Extracted(joined, properties={"rows": len(rows), "columns": columns}, tables=(table,) if columns > 1 else ())
