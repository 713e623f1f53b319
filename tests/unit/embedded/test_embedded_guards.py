"""The embedded servers of a data folder: locks, records and process ids, without any server."""

import asyncio
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from orchestration.embedded import ports, postgres, stack
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.process import ProcessId, identify, is_alive, launch, listens, stop, works_in
from orchestration.embedded.record import FILE_NAME, PostgresRecord, ServersRecord, read_record, write_record
from orchestration.embedded.stack import EmbeddedStack
from perdure.errors import PortInUse, RefusedCommand

RECORD = ServersRecord(PostgresRecord(ProcessId(1, "boot/1"), 20_001, "postgresql://perdure:secret@host/perdure"))
STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Return a process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_only_the_owner_may_read_the_record(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert read_record(tmp_path) == RECORD
    assert "secret" not in repr(RECORD)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"postgres":{"port":1},"temporal":null}', b"\xff"])
def test_damaged_record_counts_as_one_without_servers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert read_record(tmp_path) == ServersRecord()


def test_process_that_got_the_id_of_a_server_is_not_that_server(child: subprocess.Popen[str]) -> None:
    process = identify(child.pid)
    assert process
    assert is_alive(process)
    earlier = ProcessId(child.pid, "another start")
    assert not is_alive(earlier)
    assert not PostgresRecord(earlier, 20_001, "").running
    stop(earlier, request=signal.SIGKILL, grace_seconds=60)
    child.communicate()  # the end of its input ends it in order
    assert child.returncode == 0, "the stop of a dead server killed another program"


def test_server_that_ignores_the_request_is_killed(child: subprocess.Popen[str]) -> None:
    process = identify(child.pid)
    assert process
    reaper = threading.Thread(target=child.wait)
    reaper.start()
    stop(process, request=signal.SIGTERM, grace_seconds=0.2)
    reaper.join(20)
    assert child.returncode == -signal.SIGKILL


def test_server_of_another_folder_is_not_taken_for_this_one(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    name = Path(sys.executable).resolve().name[:6]
    assert works_in(child.pid, Path.cwd(), name) == identify(child.pid)
    assert works_in(child.pid, tmp_path, name) is None
    assert works_in(child.pid, Path.cwd(), "postgres") is None


def test_launched_server_outlives_the_interrupt_of_its_command(tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches every process of the terminal's foreground group."""
    process = launch(["/bin/sleep", "600"], log=tmp_path / "log", user=None, environment={"PATH": "/usr/bin:/bin"})
    try:
        assert os.getsid(process.pid) != os.getsid(0)
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        stop(process, request=signal.SIGTERM, grace_seconds=60)


@pytest.mark.parametrize("command", [EmbeddedStack.down, EmbeddedStack.up], ids=["down", "up"])
async def test_command_waits_for_another_that_starts_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[EmbeddedStack], Awaitable[object]]
) -> None:
    monkeypatch.setattr(stack, "LOCK_SECONDS", 0.1)
    servers = EmbeddedStack(tmp_path)
    with (tmp_path / "servers.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RefusedCommand, match="Another command"):
            await command(servers)
    assert await servers.down() is False


async def test_cancelled_command_ends_after_the_server_that_it_starts() -> None:
    """Otherwise a server would run that no record names."""
    has_begun, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def start_server() -> None:
        has_begun.set()
        assert may_end.wait(60)
        order.append("the server is recorded")

    command = asyncio.ensure_future(stack._to_its_end(start_server))
    command.add_done_callback(lambda _: order.append("the command has ended"))
    assert await asyncio.to_thread(has_begun.wait, 60)
    command.cancel()
    for _ in range(10):  # the cancellation reaches the command in one of these rounds of the loop
        await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await command
    assert order == ["the server is recorded", "the command has ended"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port on which this process listens."""
    with socket.socket() as server:
        server.bind((ports.HOST, 0))
        server.listen(1)
        yield server.getsockname()[1]


def test_taken_port_is_neither_free_nor_chosen(tmp_path: Path, taken_port: int) -> None:
    assert not ports.is_free(taken_port)
    with pytest.raises(PortInUse):
        ports.require_free(taken_port, "a server")
    sentences: list[str] = []
    chosen: set[int] = set()
    port = ports.choose([taken_port], "a server", tmp_path, taken=chosen, say=sentences.append)
    assert port != taken_port
    assert sentences == [f"Port {taken_port} is taken; a server uses {port}."]
    assert chosen == {port}


def test_two_servers_of_a_folder_get_different_ports(tmp_path: Path) -> None:
    taken: set[int] = set()
    chosen = [ports.choose([None], "a server", tmp_path, taken=taken, say=lambda _: None) for _ in range(3)]
    assert len(set(chosen)) == 3


def test_another_process_on_the_port_is_not_the_server(taken_port: int, child: subprocess.Popen[str]) -> None:
    me, other = identify(os.getpid()), identify(child.pid)
    assert me
    assert other
    assert listens(me, [taken_port])
    assert not listens(other, [taken_port])


def test_interrupted_initialisation_leaves_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after `initdb` has begun and before the password is in its place."""

    def die(command: list[str], **_: object) -> None:
        folder = Path(command[command.index("-D") + 1])
        (folder / "PG_VERSION").write_text("18\n")
        raise KeyboardInterrupt

    server = EmbeddedPostgres(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_run", die)
        with pytest.raises(KeyboardInterrupt):
            server._initialise(None)
    assert not (server.cluster / "PG_VERSION").exists(), "the next start would take the folder for a whole cluster"


def test_port_of_closed_connections_is_free() -> None:
    """The kernel keeps the port of a connection for a minute after its server closed it."""
    with socket.create_server((ports.HOST, 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection((ports.HOST, port)) as client:
            connection, _ = server.accept()
            connection.close()
            assert client.recv(1) == b"", "the server has closed first"
    assert ports.is_free(port)
