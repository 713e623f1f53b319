"""The documents of a recording: samples, generated letters, and one long PDF."""

import io
import random
import shutil
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

SAMPLES = (
    "chronicle/letter-of-agnes-thorne.txt",
    "contracts/contract-harbour-finch.pdf",
    "contracts/suppliers.csv",
    "mail/claim-storm-ingrid.eml",
    "minutes/board-2023-06-09.docx",
    "money/invoice-almeida-2024-017.html",
)
LONG = "05-long.pdf"
LETTERS_BEFORE = 4
LETTERS_AFTER = 4
_PAGES = 26
_LINES = 40
_LINE_POINTS = 18
_NAMES = ("Ada Lovelace", "Grace Hopper", "Mary Somerville", "Harbour Trust", "Acme Ltd", "London", "5 May 2024")
_WORDS = ("Clara Whitfield", "of Harbour Ltd", "paid £12", "in London", "on 5 March 2024", "to Bo Lind", "and Acme Inc")


def write_finished(folder: Path, samples: Path) -> None:
    """Write six samples, an empty file and a damaged PDF."""
    folder.mkdir(parents=True)
    for sample in SAMPLES:
        shutil.copy2(samples / sample, folder)
    (folder / "nothing.txt").touch()
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7\n1 0 obj << /Type /Catalog\n")


def write_interrupted(folder: Path) -> None:
    """Write letters before and after a long PDF, in the order in which a run takes them."""
    write_letters(folder, range(1, 1 + LETTERS_BEFORE))
    (folder / LONG).write_bytes(_long_pdf())
    after = 2 + LETTERS_BEFORE
    write_letters(folder, range(after, after + LETTERS_AFTER))


def write_letters(folder: Path, numbers: range, *, words: str = "") -> None:
    """Write one letter for each number; the same number and words give the same text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        chance = random.Random(f"{number} {words}")
        sentences = [
            f"{chance.choice(_NAMES)} wrote to {chance.choice(_NAMES)} about lamp number {chance.randrange(1000)}."
            for _ in range(12)
        ]
        (folder / f"{number:02}-letter.txt").write_text("\n".join([*sentences, words]))


def _long_pdf() -> bytes:
    """Return a PDF with about 3,500 characters on each page.

    The name recogniser processes such a document in several slices.
    """
    chance = random.Random(4)
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True, pageCompression=1)
    for _ in range(_PAGES):
        for line in range(_LINES):
            canvas.drawString(40, 800 - _LINE_POINTS * line, " ".join(chance.choice(_WORDS) for _ in range(8)))
        canvas.showPage()
    canvas.save()
    return file.getvalue()
