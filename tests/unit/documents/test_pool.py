"""The document pool shares models with its children, and loads no library into the worker."""

import pickle
import subprocess
import sys
from pathlib import Path

import psutil

from perdure.documents.discovery import discover
from perdure.documents.limits import Limits
from perdure.documents.pool import document_job, open_document_pool

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


def test_children_find_the_code_of_their_requests_loaded() -> None:
    """A module that only the request names would be loaded again by every child."""
    program = (
        "import pickle, sys; from perdure.documents.warm_up import warm_up; warm_up(); loaded = set(sys.modules)\n"
        "request = bytes.fromhex(sys.argv[1]); pickle.loads(request); print(sorted(set(sys.modules) - loaded))"
    )
    job = document_job(Limits())
    request = pickle.dumps((job.parser, job.codec, Limits())).hex()
    command = [sys.executable, "-c", program, request]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
