"""A parser that was taken over can do nothing but read its document and answer."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from perdure.errors import ParserCrashed
from perdure.sandbox.confinement import harmless
from perdure.sandbox.pool import IsolatedPool, Limits
from tests.unit.documents.escapes import ANSWERS, MARKER, attempt
from tests.unit.documents.opening import open_nothing

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part of it is Linux's"),
]
ROOT = Path(__file__).resolve().parents[3]
SECRET = "postgresql://perdure:secret@db/perdure"
PTRACE_X86_64, IO_URING_SETUP = 101, 425


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[IsolatedPool]:
    os.environ["DATABASE_URL"] = SECRET
    try:
        pool = IsolatedPool(1, Limits(attempts=1), attempt, opener=open_nothing)
        pool.start()
    finally:
        del os.environ["DATABASE_URL"]
    yield pool
    await pool.aclose()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


async def said(pool: IsolatedPool, name: str) -> str:
    return (await pool.process("file:///x", name, "file:///")).document.text


async def test_it_reaches_no_server(pool: IsolatedPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await said(pool, f"connect {server.getsockname()[1]}") == "PermissionError"
    assert await said(pool, "listen") == "PermissionError"
    assert await said(pool, "unix /run/anything") == "PermissionError"


@pytest.mark.parametrize("how", ["write", "append", "truncate", "delete", "rename", "link", "mode"])
async def test_it_changes_no_file(pool: IsolatedPool, how: str, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("as it was")
    file.chmod(0o666)
    assert await said(pool, f"{how} {file}") == "PermissionError"
    assert file.read_text() == "as it was"
    assert [one.name for one in tmp_path.iterdir()] == ["precious"]
    assert file.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("how", ["write", "folder"])
async def test_it_makes_nothing_anywhere(pool: IsolatedPool, how: str, tmp_path: Path) -> None:
    assert await said(pool, f"{how} {tmp_path / 'new'}") == "PermissionError"
    assert not list(tmp_path.iterdir())


async def test_it_reads_nobodys_files(pool: IsolatedPool, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("private")
    for path in (tmp_path / "letter", "/etc/passwd", f"/proc/{os.getpid()}/environ", ROOT / "README.md"):
        assert Path(path).exists()
        assert await said(pool, f"read {path}") == "PermissionError"
    for folder in (tmp_path, "/", ROOT):
        assert await said(pool, f"list {folder}") == "PermissionError"


async def test_its_limits_cannot_be_raised(pool: IsolatedPool) -> None:
    assert await said(pool, "limit") == "not allowed to raise maximum limit"


async def test_it_starts_nothing_and_kills_nobody(pool: IsolatedPool, bystander: "subprocess.Popen[bytes]") -> None:
    assert await said(pool, "run") == "PermissionError"
    assert await said(pool, "execute") == "PermissionError"
    assert await said(pool, "fork") == "PermissionError"
    assert await said(pool, f"kill {bystander.pid}") == "PermissionError"
    assert await said(pool, f"kill {os.getpid()}") == "PermissionError"
    assert bystander.poll() is None


async def test_it_gets_no_levers_of_the_kernel(pool: IsolatedPool) -> None:
    assert await said(pool, f"call {IO_URING_SETUP}") == "PermissionError"
    if os.uname().machine == "x86_64":
        assert await said(pool, f"call {PTRACE_X86_64}") == "PermissionError"


async def test_it_opens_few_files(pool: IsolatedPool) -> None:
    assert await said(pool, "files") == "OSError"


async def test_it_is_told_no_secret(pool: IsolatedPool) -> None:
    environment = await said(pool, "environment")
    assert environment.startswith("did it: ")
    assert "secret" not in environment
    assert "DATABASE_URL" not in environment


@pytest.mark.parametrize("answer", ANSWERS)
async def test_its_answer_can_make_the_worker_do_nothing(pool: IsolatedPool, answer: str) -> None:
    with pytest.raises(ParserCrashed, match="answer"):
        await said(pool, answer)
    assert not Path(MARKER).exists()


async def test_what_its_libraries_need_still_works(pool: IsolatedPool) -> None:
    assert await said(pool, "thread") == "did it: 1"
    assert await said(pool, "raise") == "did it: None"
    assert await said(pool, "import xmlrpc") == "did it: xmlrpc"


async def test_of_an_environment_only_what_is_harmless_is_left() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "DATABASE_URL": SECRET,
        "AWS_SECRET_ACCESS_KEY": "x",
        "TEMPORAL_API_KEY": "x",
    }
    assert harmless(given) == {"PATH": "/bin", "LC_ALL": "C"}
