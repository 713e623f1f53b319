"""The catalogue of samples: the path of each document, its source and its writer."""

from collections.abc import Callable

from tools.samples.diary import make_diary
from tools.samples.mail import make_eml
from tools.samples.office import make_docx, make_pptx
from tools.samples.opendocument import make_odt
from tools.samples.pages import make_pdf
from tools.samples.sheets import make_csv, make_xlsx, read_sheets
from tools.samples.source import read_source
from tools.samples.web import make_epub, make_html


def _body(name: str) -> bytes:
    return read_source(name).body.encode()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "chronicle/the-light-on-lantern-quay.epub": lambda: make_epub(read_source("chronicle.md")),
    "chronicle/letter-of-agnes-thorne.txt": lambda: _body("keepers-letter.md"),
    "contracts/funding-agreement.docx": lambda: make_docx(read_source("funding-agreement.md")),
    "contracts/contract-harbour-finch.pdf": lambda: make_pdf(read_source("contract.md")),
    "contracts/suppliers.csv": lambda: make_csv(read_sheets("suppliers.yaml")),
    "mail/order-of-stone.eml": lambda: make_eml(read_source("order-of-stone.md")),
    "mail/timbers-in-basin-two.eml": lambda: make_eml(read_source("find-in-basin-two.md")),
    "mail/claim-storm-ingrid.eml": lambda: make_eml(read_source("insurance-claim.md")),
    "minutes/board-2023-06-09.docx": lambda: make_docx(read_source("minutes-2023-06-09.md")),
    "minutes/board-2023-12-01.docx": lambda: make_docx(read_source("minutes-2023-12-01.md")),
    "money/budget-and-outturn.xlsx": lambda: make_xlsx(read_sheets("budget.yaml")),
    "money/ledger.xlsx": lambda: make_xlsx(read_sheets("payments.yaml")),
    "money/invoice-nordhavn-2024-003.pdf": lambda: make_pdf(read_source("invoice-nordhavn.md")),
    "money/invoice-almeida-2024-017.html": lambda: make_html(read_source("invoice-almeida.md")),
    "public/briefing-november-2024.pptx": lambda: make_pptx(read_source("briefing.md")),
    "public/press-release-2025-07-14.html": lambda: make_html(read_source("press-release.md")),
    "public/walk-along-lantern-quay.odt": lambda: make_odt(read_source("visitor-guide.md")),
    "works/archaeological-report.odt": lambda: make_odt(read_source("archaeological-report.md")),
    "works/diary.txt": make_diary,
    "works/feasibility-study.pdf": lambda: make_pdf(read_source("feasibility-study.md")),
    "works/storm-ingrid.md": lambda: _body("storm-report.md"),
    "works/volunteers-handbook.md": lambda: _body("volunteers.md"),
}
"""Path under `samples/` to its writer; with the locked packages the bytes are the same on every machine."""
