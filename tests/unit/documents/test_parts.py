"""A long document goes on where a killed process stood, and ends with the result of one that was left alone."""

import asyncio
import io
import os
import pickle
import random
import signal
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from perdure.analysis import mentions as mentions_module
from perdure.analysis.mentions import slices
from perdure.documents.discovery import discover
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.sandbox import parts as parts_module
from perdure.sandbox.parts import KeptParts, Parts, kept
from perdure.sandbox.pool import IsolatedPool, Limits
from tests.unit.documents.opening import processed_here
from tests.unit.documents.sliced import process_in_slices

WORDS = ("Clara Whitfield", "of Harbour Ltd", "paid £12", "in London", "on 5 March 2024", "to Bo Lind", "and Acme Inc")


def long_pdf(pages: int, seed: int) -> bytes:
    """About 3,500 characters a page."""
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
    """Each sent at once, in this process."""
    monkeypatch.setattr(parts_module, "SEND_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(mentions_module, "SLICE_PIECES", 1)


def a_document(folder: Path, pages: int, seed: int) -> DiscoveredDocument:
    (folder / "long.pdf").write_bytes(long_pdf(pages, seed))
    (found,) = discover([str(folder)])
    return found


def processed(document: DiscoveredDocument, parts: Parts) -> bytes:
    with kept(parts):
        result = processed_here(document.uri, document.name, document.source)
    return compared(result)


def compared(result: ProcessedDocument) -> bytes:
    return pickle.dumps((repr(result), result.embeddings.tobytes()))


def test_whatever_was_finished_before_the_result_is_the_same_and_nothing_is_done_twice(tmp_path: Path) -> None:
    document, sent = a_document(tmp_path, 3, 1), list[tuple[str, bytes]]()
    whole = processed(document, Parts(send=lambda *part: sent.append(part)))
    assert [said for said, _ in sent[:3]] == [f"page {number} of 3" for number in (1, 2, 3)]
    assert sent[-1][0] == "names on page 3 of 3"
    for finished in (2, 4, len(sent)):
        more: list[tuple[str, bytes]] = []
        earlier = b"".join(part for _, part in sent[:finished])
        assert processed(document, Parts(earlier, lambda *part, more=more: more.append(part))) == whole
        assert [said for said, _ in more] == [said for said, _ in sent[finished:]]


def test_parts_of_other_content_are_not_used(tmp_path: Path) -> None:
    sent: list[bytes] = []
    processed(a_document(tmp_path, 2, 1), Parts(send=lambda _, part: sent.append(part)))
    other = a_document(tmp_path, 2, 2)
    assert processed(other, Parts(b"".join(sent))) == processed(other, Parts())


async def test_a_killed_process_is_gone_on_from(tmp_path: Path) -> None:
    document, said = a_document(tmp_path, 8, 3), list[str]()
    pool, killed = IsolatedPool(1, Limits(), process_in_slices), asyncio.Event()

    def on_progress(progress: str, _: bytes) -> None:
        said.append(progress)
        if progress.startswith("names") and not killed.is_set():
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
    assert said[:8] == [f"page {number} of 8" for number in range(1, 9)]
    names = [int(one.split()[3]) for one in said[8:]]  # nothing but names: no page is read twice
    assert names == sorted(names), f"it began anew: {said}"
    assert len(names) == len(list(slices(outcome.document.text))), f"a slice was done twice: {said}"
    assert compared(outcome.document) == processed(document, Parts())


def test_kept_parts_come_back_as_they_were_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_KEPT_BYTES", 6 * 1024 * 1024)
    found = KeptParts()
    try:
        found.add(b"a" * 5_000_000)
        assert found.all() == b"a" * 5_000_000
        found.add(b"b" * 5_000_000)
        found.add(b"c")
        assert found.all() == b"a" * 5_000_000 + b"c"
    finally:
        found.close()
