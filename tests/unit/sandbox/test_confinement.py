"""A hostile parser can only read its document and answer."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from perdure.errors import ParserCrashed
from perdure.sandbox.confinement import filter_environment
from perdure.sandbox.limits import ProcessLimits
from perdure.sandbox.pool import IsolatedPool
from tests.unit.sandbox.escapes import ANSWERS, attempt
from tests.unit.sandbox.jobs import text_job

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="confinement needs the Linux kernel"),
]
ROOT = Path(__file__).resolve().parents[3]
SECRET = "postgresql://perdure:secret@db/perdure"
PTRACE_X86_64 = 101
IO_URING_SETUP = 425


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[IsolatedPool[str]]:
    os.environ["DATABASE_URL"] = SECRET
    try:
        pool = IsolatedPool(1, ProcessLimits(attempts=1), text_job(attempt))
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


async def result_of(pool: IsolatedPool[str], name: str) -> str:
    return (await pool.process("file:///x", name, "file:///")).document


async def test_parser_reaches_no_server(pool: IsolatedPool[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await result_of(pool, f"connect {server.getsockname()[1]}") == "PermissionError"
    assert await result_of(pool, "listen") == "PermissionError"
    assert await result_of(pool, "unix /run/anything") == "PermissionError"


@pytest.mark.parametrize("how", ["write", "append", "truncate", "delete", "rename", "link", "mode"])
async def test_parser_changes_no_file(pool: IsolatedPool[str], how: str, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("as it was")
    file.chmod(0o666)
    assert await result_of(pool, f"{how} {file}") == "PermissionError"
    assert file.read_text() == "as it was"
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious"]
    assert file.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("how", ["write", "folder"])
async def test_parser_creates_no_file(pool: IsolatedPool[str], how: str, tmp_path: Path) -> None:
    assert await result_of(pool, f"{how} {tmp_path / 'new'}") == "PermissionError"
    assert not list(tmp_path.iterdir())


async def test_parser_reads_no_file_but_its_libraries(pool: IsolatedPool[str], tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("private")
    for path in (tmp_path / "letter", "/etc/passwd", f"/proc/{os.getpid()}/environ", ROOT / "README.md"):
        assert Path(path).exists()
        assert await result_of(pool, f"read {path}") == "PermissionError"
    for folder in (tmp_path, "/", ROOT):
        assert await result_of(pool, f"list {folder}") == "PermissionError"


async def test_parser_cannot_raise_its_limits(pool: IsolatedPool[str]) -> None:
    assert await result_of(pool, "limit") == "not allowed to raise maximum limit"


async def test_parser_starts_and_kills_no_process(
    pool: IsolatedPool[str], bystander: "subprocess.Popen[bytes]"
) -> None:
    assert await result_of(pool, "run") == "PermissionError"
    assert await result_of(pool, "execute") == "PermissionError"
    assert await result_of(pool, "fork") == "PermissionError"
    assert await result_of(pool, f"kill {bystander.pid}") == "PermissionError"
    assert await result_of(pool, f"kill {os.getpid()}") == "PermissionError"
    assert bystander.poll() is None


async def test_parser_cannot_call_ptrace_or_io_uring(pool: IsolatedPool[str]) -> None:
    assert await result_of(pool, f"call {IO_URING_SETUP}") == "PermissionError"
    if os.uname().machine == "x86_64":
        assert await result_of(pool, f"call {PTRACE_X86_64}") == "PermissionError"


async def test_parser_opens_few_files(pool: IsolatedPool[str]) -> None:
    count = (await result_of(pool, "files")).removeprefix("did it: ")
    assert 0 < int(count) < 128


async def test_parser_writes_no_large_memory_file_and_no_core_dump(pool: IsolatedPool[str]) -> None:
    assert await result_of(pool, "memory file") == "OSError"
    assert await result_of(pool, "core") == "did it: (0, 0)"


async def test_parser_has_no_socket_but_its_own(pool: IsolatedPool[str]) -> None:
    assert await result_of(pool, "sockets") == "did it: 1"


async def test_parser_can_gain_no_right(pool: IsolatedPool[str]) -> None:
    assert int((await result_of(pool, "status CapEff")).removeprefix("did it: "), 16) == 0
    assert await result_of(pool, "status NoNewPrivs") == "did it: 1"


async def test_kernel_ends_a_parser_before_its_worker(pool: IsolatedPool[str]) -> None:
    worker = int(Path("/proc/self/oom_score_adj").read_text())
    score = (await result_of(pool, "read /proc/self/oom_score_adj")).removeprefix("did it: b'").removesuffix("\\n'")
    assert int(score) > worker


async def test_environment_of_a_parser_holds_no_secret(pool: IsolatedPool[str]) -> None:
    environment = await result_of(pool, "environment")
    assert environment.startswith("did it: ")
    assert "secret" not in environment
    assert "DATABASE_URL" not in environment


@pytest.mark.parametrize("answer", ANSWERS)
async def test_invalid_answer_fails_its_document(pool: IsolatedPool[str], answer: str) -> None:
    with pytest.raises(ParserCrashed, match="answer"):
        await result_of(pool, answer)


async def test_threads_own_signals_and_imports_still_work(pool: IsolatedPool[str]) -> None:
    assert await result_of(pool, "thread") == "did it: 1"
    assert await result_of(pool, "raise") == "did it: None"
    assert await result_of(pool, "import xmlrpc") == "did it: xmlrpc"


async def test_filtered_environment_keeps_paths_and_locale_only() -> None:
    environment = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "DATABASE_URL": SECRET,
        "AWS_SECRET_ACCESS_KEY": "x",
        "TEMPORAL_API_KEY": "x",
    }
    assert filter_environment(environment) == {"PATH": "/bin", "LC_ALL": "C"}
