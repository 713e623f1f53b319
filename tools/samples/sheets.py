"""The writers of XLSX and CSV, from YAML: a list of sheets, each with `columns` and `rows`.

A cell `[formula, value]` is a formula with its cached result. Text extractors do not calculate formulas, and read the
cached result.
"""

import csv
import io
from typing import Any

import xlsxwriter
import yaml

from tools.samples.archive import EPOCH, fixed_archive
from tools.samples.source import STORY

_COLUMN_WIDTH_CHARACTERS = 26


def read_sheets(name: str) -> dict[str, Any]:
    """Read `story/<name>`, and return its `title`, `author` and `sheets`."""
    content: dict[str, Any] = yaml.safe_load((STORY / name).read_text(encoding="utf-8"))
    return content


def make_xlsx(content: dict[str, Any]) -> bytes:
    """Return the content as XLSX, with a worksheet for each of `sheets`."""
    result = io.BytesIO()
    book = xlsxwriter.Workbook(result, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    created = EPOCH.replace(tzinfo=None)
    book.set_properties({"title": content["title"], "author": content["author"], "created": created})
    bold = book.add_format({"bold": True})
    for sheet in content["sheets"]:
        page = book.add_worksheet(sheet["name"])
        page.set_column(0, len(sheet["columns"]) - 1, _COLUMN_WIDTH_CHARACTERS)
        page.write_row(0, 0, sheet["columns"], bold)
        for number, row in enumerate(sheet["rows"], start=1):
            for column, cell in enumerate(row):
                match cell:
                    case [formula, value]:
                        page.write_formula(number, column, formula, None, value)
                    case _:
                        page.write(number, column, cell)
    book.close()
    return fixed_archive(result.getvalue())


def make_csv(content: dict[str, Any]) -> bytes:
    """Return the first sheet as CSV in UTF-8, with CRLF line ends as RFC 4180 requires."""
    result = io.StringIO()
    writer = csv.writer(result, lineterminator="\r\n")
    sheet = content["sheets"][0]
    writer.writerow(sheet["columns"])
    writer.writerows(sheet["rows"])
    return result.getvalue().encode()
