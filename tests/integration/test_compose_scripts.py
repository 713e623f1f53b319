"""The scripts of the Docker set-up.

The namespace script runs against a real Temporal server.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "ops/temporal").glob("*.sh"))
TEMPORAL = Path(sys.executable).parent / "temporal"
PATIENCE_SECONDS = 240.0
ATTRIBUTES = {
    "DocumentsTotal": "INDEXED_VALUE_TYPE_INT",
    "DocumentsProcessed": "INDEXED_VALUE_TYPE_INT",
    "DocumentsFailed": "INDEXED_VALUE_TYPE_INT",
    "QualityScore": "INDEXED_VALUE_TYPE_DOUBLE",
    "PipelineStatus": "INDEXED_VALUE_TYPE_KEYWORD",
}


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script of ops/temporal with these variables and no others."""
    return subprocess.run(
        ["sh", str(ROOT / "ops/temporal" / script)],
        env={"PATH": f"{TEMPORAL.parent}:/usr/bin:/bin", "HOME": environment.get("HOME", "/nonexistent")} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def status(process: subprocess.Popen[bytes]) -> str:
    """Return the kernel's state letter of the process."""
    return str(psutil.Process(process.pid).status())


@contextmanager
def process(*command: str | Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command during the block, and kill it afterwards; the folder gets its output."""
    with (folder / "output").open("wb") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=folder)
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def test_scripts_parse_and_stop_at_the_first_error() -> None:
    assert len(SCRIPTS) == 2
    for script in SCRIPTS:
        subprocess.run(["bash", "-n", script], check=True)
        assert "\nset -eu\n" in script.read_text(encoding="utf-8")


def test_namespace_script_sets_server_up_and_runs_twice(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    environment = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "saltmere", "WAIT_SECONDS": "200"}
    server = (TEMPORAL, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port))

    def temporal(*command: str) -> str:
        options = ["--address", address, "--namespace", "saltmere", "--output", "json"]
        return subprocess.run(
            [TEMPORAL, *command, *options], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
        ).stdout

    with process(*server, folder=tmp_path):
        for retention in ("720h", "48h"):
            result = run("namespace.sh", environment | {"RETENTION": retention, "HOME": str(tmp_path)})
            assert result.returncode == 0, result.stderr
        described = json.loads(temporal("operator", "namespace", "describe"))
        assert described["config"]["workflowExecutionRetentionTtl"] == "172800s"
        listed = json.loads(temporal("operator", "search-attribute", "list"))
        assert listed["customAttributes"] == ATTRIBUTES


def test_namespace_script_gives_up_without_a_server(tmp_path: Path) -> None:
    address = "127.0.0.1:1"
    environment = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "x", "RETENTION": "72h", "WAIT_SECONDS": "1"}
    result = run("namespace.sh", environment | {"HOME": str(tmp_path)})
    assert result.returncode == 1
    assert f"Gave up waiting for the Temporal server at {address}." in result.stderr


def test_schema_script_creates_and_updates_both_databases_in_order(tmp_path: Path) -> None:
    """Only Temporal's image has the schema tool, so a script in its place records the calls."""
    tool = tmp_path / "temporal-sql-tool"
    tool.write_text(f'#!/bin/sh\nset -u\necho "$SQL_USER@$SQL_HOST:$SQL_PORT $*" >> {tmp_path}/calls\n')
    tool.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SQL_PLUGIN": "postgres12",
        "SQL_HOST": "temporal-db",
        "SQL_PORT": "5432",
        "SQL_USER": "temporal",
        "SQL_PASSWORD": "given",
    }
    assert run("schema.sh", environment).returncode == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    schemas = "/etc/temporal/schema/postgresql/v12"
    assert calls == [
        f"temporal@temporal-db:5432 --db {database} {command}"
        for database, store in (("temporal", "temporal"), ("temporal_visibility", "visibility"))
        for command in (
            "create-database",
            "setup-schema --version 0.0",
            f"update-schema --schema-dir {schemas}/{store}/versioned",
        )
    ]
    assert run("schema.sh", {**environment, "SQL_PASSWORD": ""}).returncode != 0


HOLDER = """
import pathlib, signal, sys
lock = pathlib.Path(sys.argv[1]).open("a+")
print("held", flush=True)
signal.pause()
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the health check is for Linux containers")
def test_health_check_distinguishes_live_stopped_and_dead_worker(tmp_path: Path) -> None:
    slots = tmp_path / "workers"
    slots.mkdir()

    def health() -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, ROOT / "ops/worker_health.py"],
            env=os.environ | {"PERDURE_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stderr

    assert health() == (1, f"no process holds a worker's slot in {slots.resolve()}\n")
    with process(sys.executable, "-c", HOLDER, slots / "worker-1.lock", folder=tmp_path) as worker:
        until(lambda: bool((tmp_path / "output").read_text()))
        assert health() == (0, "")
        worker.send_signal(signal.SIGSTOP)
        until(lambda: status(worker) == psutil.STATUS_STOPPED)
        assert health() == (1, f"the worker, process {worker.pid}, is in state T\n")
        worker.send_signal(signal.SIGCONT)
        until(lambda: status(worker) != psutil.STATUS_STOPPED)
        assert health() == (0, "")
    assert health()[0] == 1
