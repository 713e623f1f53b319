"""The catalogue of samples: the path of each document, its source and its writer."""

from collections.abc import Callable

from tools.samples.diary import diary_bytes
from tools.samples.mail import eml_bytes
from tools.samples.office import docx_bytes, pptx_bytes
from tools.samples.opendocument import odt_bytes
from tools.samples.pages import pdf_bytes
from tools.samples.sheets import csv_bytes, read_sheets, xlsx_bytes
from tools.samples.source import read_source
from tools.samples.web import epub_bytes, html_bytes


def _body(name: str) -> bytes:
    return read_source(name).body.encode()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "chronicle/the-light-on-lantern-quay.epub": lambda: epub_bytes(read_source("chronicle.md")),
    "chronicle/letter-of-agnes-thorne.txt": lambda: _body("keepers-letter.md"),
    "contracts/funding-agreement.docx": lambda: docx_bytes(read_source("funding-agreement.md")),
    "contracts/contract-harbour-finch.pdf": lambda: pdf_bytes(read_source("contract.md")),
    "contracts/suppliers.csv": lambda: csv_bytes(read_sheets("suppliers.yaml")),
    "mail/order-of-stone.eml": lambda: eml_bytes(read_source("order-of-stone.md")),
    "mail/timbers-in-basin-two.eml": lambda: eml_bytes(read_source("find-in-basin-two.md")),
    "mail/claim-storm-ingrid.eml": lambda: eml_bytes(read_source("insurance-claim.md")),
    "minutes/board-2023-06-09.docx": lambda: docx_bytes(read_source("minutes-2023-06-09.md")),
    "minutes/board-2023-12-01.docx": lambda: docx_bytes(read_source("minutes-2023-12-01.md")),
    "money/budget-and-outturn.xlsx": lambda: xlsx_bytes(read_sheets("budget.yaml")),
    "money/ledger.xlsx": lambda: xlsx_bytes(read_sheets("payments.yaml")),
    "money/invoice-nordhavn-2024-003.pdf": lambda: pdf_bytes(read_source("invoice-nordhavn.md")),
    "money/invoice-almeida-2024-017.html": lambda: html_bytes(read_source("invoice-almeida.md")),
    "public/briefing-november-2024.pptx": lambda: pptx_bytes(read_source("briefing.md")),
    "public/press-release-2025-07-14.html": lambda: html_bytes(read_source("press-release.md")),
    "public/walk-along-lantern-quay.odt": lambda: odt_bytes(read_source("visitor-guide.md")),
    "works/archaeological-report.odt": lambda: odt_bytes(read_source("archaeological-report.md")),
    "works/diary.txt": diary_bytes,
    "works/feasibility-study.pdf": lambda: pdf_bytes(read_source("feasibility-study.md")),
    "works/storm-ingrid.md": lambda: _body("storm-report.md"),
    "works/volunteers-handbook.md": lambda: _body("volunteers.md"),
}
"""Path under `samples/` to its writer; with the locked packages the bytes are the same on every machine."""
