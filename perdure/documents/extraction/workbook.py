"""Extracts workbooks (XLSX, XLS, ODS): one page a sheet, one line a row, tabs between cells."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from perdure.documents.document import Section, Table
from perdure.documents.extraction.container_metadata import open_document_properties
from perdure.documents.extraction.extracted import Extracted, ExtractionInput, join_pages
from perdure.documents.extraction.kreuzberg_reader import parse, structured_text, title_and_properties
from perdure.documents.extraction.structure import one_line
from perdure.documents.extraction.zip_container import check_container

_MIDNIGHT = " 00:00:00"
"""Kreuzberg writes a date as a time at midnight."""


def extract_workbook(document: ExtractionInput) -> Extracted:
    """Return the sheets and properties of an Excel workbook.

    Raises:
        EncryptedDocument, DocumentTooLarge, DamagedDocument: raised by `check_container` or `parse`.
    """
    if document.content.startswith(b"PK"):
        check_container(document.content)
    return _read_workbook(document, {})


def extract_open_sheet(document: ExtractionInput) -> Extracted:
    """Return the sheets and properties of an OpenDocument spreadsheet.

    Kreuzberg does not read all of the properties, so they are read from the container.

    Raises:
        EncryptedDocument, DocumentTooLarge, DamagedDocument: raised by `check_container` or `parse`.
    """
    check_container(document.content)
    with zipfile.ZipFile(io.BytesIO(document.content)) as archive:
        properties = open_document_properties(archive)
    return _read_workbook(document, properties)


def _read_workbook(document: ExtractionInput, additional: Mapping[str, Any]) -> Extracted:
    result = parse(document.content, document.media_type)
    title, properties = title_and_properties(result, additional)
    if not result.tables:
        return structured_text(result, result.content, title, properties)
    names = dict(enumerate(result.metadata.get("sheet_names") or [], start=1))
    rows: dict[int, list[tuple[str, ...]]] = {number: [] for number in names}
    for table in result.tables:
        cells = [tuple(one_line(cell).removesuffix(_MIDNIGHT) for cell in row) for row in table.cells]
        rows.setdefault(table.page_number, []).extend(row for row in cells if any(row))
    return _joined_sheets(names, rows, title, properties)


def _joined_sheets(
    names: Mapping[int, str],
    rows: Mapping[int, list[tuple[str, ...]]],
    title: str | None,
    properties: dict[str, Any],
) -> Extracted:
    """Return the sheets as pages: the sheet's name on the first line, then its rows.

    Args:
        names: of the sheets, by their numbers.
        rows: of cells of each sheet, by the sheet's number.
        title: of the workbook.
        properties: of the workbook.
    """
    numbers = sorted(rows)
    lines = {number: ["\t".join(row).rstrip("\t") for row in rows[number]] for number in numbers}
    sheets = ["\n".join([*([names[number]] if number in names else []), *lines[number]]) for number in numbers]
    text, offsets = join_pages(sheets)
    sections = []
    tables = []
    for page, (number, offset, sheet) in enumerate(zip(numbers, offsets, sheets, strict=True), start=1):
        if number in names:
            sections.append(Section(offset, 1, names[number]))
        if rows[number]:
            end = offset + len(sheet)
            tables.append(Table(end - len("\n".join(lines[number])), end, tuple(rows[number]), page))
    return Extracted(text, title, offsets, properties, sections=tuple(sections), tables=tuple(tables))
