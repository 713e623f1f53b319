"""The document pool shares its models with its children, and loads no library into the worker."""

import subprocess
import sys
from pathlib import Path

import psutil

from perdure.documents.discovery import discover
from perdure.documents.limits import Limits
from perdure.documents.pool import open_document_pool

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("spacy", "wordllama", "kreuzberg", "pypdfium2", "pikepdf", "semchunk", "selectolax", "charset_normalizer")
EARLY = ("numpy", "temporalio", *HEAVY)


def loaded_by(modules: str, names: tuple[str, ...]) -> str:
    program = f"import sys, {modules}\nprint([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_worker_of_a_pool_loads_no_parser_library() -> None:
    assert loaded_by("perdure.documents.pool, perdure.documents.discovery", HEAVY) == "[]"


def test_zygote_can_be_started_before_anything_else_is_loaded() -> None:
    assert loaded_by("perdure.sandbox.fork_server, perdure.documents.warm_up", EARLY) == "[]"


async def test_children_share_the_memory_of_the_models(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ada Lovelace met Charles Babbage in London.")
    (document,) = discover([str(tmp_path)])
    pool = open_document_pool(1, Limits())
    try:
        outcome = await pool.process(document.uri, document.name, document.source)
        (child,) = pool._idle
        assert psutil.Process(child.pid).memory_full_info().uss < 60 * 1024 * 1024
    finally:
        await pool.aclose()
    assert outcome.attempts == 1
    assert outcome.version == document.version
