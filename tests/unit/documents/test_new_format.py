"""A newcomer adds a document format in two files, as docs/how-to/add-a-format.md says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.documents import extraction, formats
from perdure.documents.addresses import uri_of
from perdure.documents.discovery import discover
from perdure.documents.lazy_import import load
from perdure.errors import DamagedDocument, NoTextExtracted
from perdure.report.wording import media_name
from tests.unit.documents.opening import processed_here

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-format.md"
MODULE = "perdure.documents.extraction.ticket"


@pytest.fixture(autouse=True)
def _ticket_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Carry out the page: write the extractor, and add the row above the row of plain text."""
    module, row = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ticket.py").write_text(module)
    monkeypatch.setattr(extraction, "__path__", [*extraction.__path__, str(tmp_path / "code")])
    new_row = eval(row, vars(formats))
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS[:-1], new_row, formats.FORMATS[-1]))
    yield
    sys.modules.pop(MODULE, None)
    load.cache_clear()


def _ticket(folder: Path, content: bytes) -> tuple[str, str, str]:
    """Write a ticket and return URI, name and source of the document that discovery finds."""
    (folder / "papers").mkdir()
    (folder / "papers" / "rent.ticket").write_bytes(content)
    (document,) = discover([uri_of(folder / "papers")])
    return document.uri, document.name, document.source


def test_new_format_is_read_end_to_end(tmp_path: Path) -> None:
    document = processed_here(*_ticket(tmp_path, b"TICKET/1\nRent of berth 7\nClara Nowak pays the rent in Gdynia."))
    assert document.media_type == "application/x-ticket"
    assert document.title == "Rent of berth 7"
    assert document.text == "Clara Nowak pays the rent in Gdynia."
    assert document.mentions
    assert media_name(document.media_type) == "Ticket"


def test_new_format_is_warmed_up_with_the_others() -> None:
    formats.warm_up()
    assert MODULE in sys.modules


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"TICKET/1\n", DamagedDocument, "The ticket is damaged: it has no title."),
        (b"TICKET/1\nRent\n", NoTextExtracted, "No text was found in the document"),
    ],
)
def test_new_format_gives_reasons(tmp_path: Path, content: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        processed_here(*_ticket(tmp_path, content))
