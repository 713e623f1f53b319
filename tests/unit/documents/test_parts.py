"""A long document continues after a kill, and has the result of an undisturbed document."""

import asyncio
import hashlib
import io
import os
import pickle
import random
import signal
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from perdure.analysis import mentions as mentions_module
from perdure.analysis.annotations import Mention
from perdure.analysis.mentions import split_into_slices
from perdure.documents.discovery import discover
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.pool import open_document_pool
from perdure.sandbox import parts as parts_module
from perdure.sandbox.parts import Parts, use_parts
from tests.unit.documents.opening import processed_here
from tests.unit.documents.sliced import process_in_slices

WORDS = ("Clara Whitfield", "of Harbour Ltd", "paid £12", "in London", "on 5 March 2024", "to Bo Lind", "and Acme Inc")


def long_pdf(pages: int, seed: int) -> bytes:
    """Return a PDF with about 3,500 characters a page."""
    chance = random.Random(seed)
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for _ in range(pages):
        for line in range(40):
            canvas.drawString(40, 800 - 18 * line, " ".join(chance.choice(WORDS) for _ in range(8)))
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small slices, and send each slice at once."""
    monkeypatch.setattr(parts_module, "SEND_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(mentions_module, "SLICE_PIECES", 1)


def a_document(folder: Path, pages: int, seed: int) -> DiscoveredDocument:
    (folder / "long.pdf").write_bytes(long_pdf(pages, seed))
    (document,) = discover([str(folder)])
    return document


def processed(document: DiscoveredDocument, parts: Parts) -> bytes:
    with use_parts(parts):
        result = processed_here(document.uri, document.name, document.source)
    return compared(result)


def compared(result: ProcessedDocument) -> bytes:
    return pickle.dumps((repr(result), result.embeddings.tobytes()))


def test_result_is_the_same_after_any_number_of_finished_parts(tmp_path: Path) -> None:
    document = a_document(tmp_path, 3, 1)
    sent: list[tuple[str, bytes]] = []
    whole = processed(document, Parts(send=lambda *part: sent.append(part)))
    assert [progress for progress, _ in sent[:3]] == [f"page {number} of 3" for number in (1, 2, 3)]
    assert sent[-1][0] == "names on page 3 of 3"
    for finished in (2, 4, len(sent)):
        more: list[tuple[str, bytes]] = []
        earlier = b"".join(part for _, part in sent[:finished])
        assert processed(document, Parts(earlier, lambda *part, more=more: more.append(part))) == whole
        assert [progress for progress, _ in more] == [progress for progress, _ in sent[finished:]]


def test_parts_of_other_content_are_not_used(tmp_path: Path) -> None:
    sent: list[bytes] = []
    processed(a_document(tmp_path, 2, 1), Parts(send=lambda _, part: sent.append(part)))
    other = a_document(tmp_path, 2, 2)
    assert processed(other, Parts(b"".join(sent))) == processed(other, Parts())


def test_parts_that_hold_classes_are_computed_again(tmp_path: Path) -> None:
    """Release 0.3.0 stored such parts: they hold objects of the class `Mention`."""
    document = a_document(tmp_path, 2, 1)
    sha256 = hashlib.sha256((tmp_path / "long.pdf").read_bytes()).hexdigest()
    wrong = Mention(0, 5, "person", "Nobody", "nobody", 0.75)
    stored = pickle.dumps((f"{sha256} None", {"mentions": [(0, 100, [wrong])]}))
    assert processed(document, Parts(stored)) == processed(document, Parts())


async def test_document_of_a_killed_child_continues_where_it_stopped(tmp_path: Path) -> None:
    document = a_document(tmp_path, 8, 3)
    pool = open_document_pool(1, Limits(), process_in_slices)
    progress: list[str] = []
    killed = asyncio.Event()

    def on_progress(text: str, _: bytes) -> None:
        progress.append(text)
        if text.startswith("names") and not killed.is_set():
            killed.set()
            for child in pool._busy:
                os.kill(child.pid, signal.SIGKILL)

    pool.start()
    try:
        outcome = await pool.process(document.uri, document.name, document.source, on_progress=on_progress)
    finally:
        await pool.aclose()
    assert killed.is_set()
    assert outcome.attempts == 2
    assert progress[:8] == [f"page {number} of 8" for number in range(1, 9)]
    pages = [int(text.split()[3]) for text in progress[8:]]  # only names follow: no page is read twice
    assert pages == sorted(pages), f"the child began again: {progress}"
    assert len(pages) == len(list(split_into_slices(outcome.document.text))), f"a slice was processed twice: {progress}"
    assert compared(outcome.document) == processed(document, Parts())
