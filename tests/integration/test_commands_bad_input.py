"""Whatever is asked wrongly is answered by one sentence on stderr and exit code 2, and changes nothing."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import ROOT, CommandLine, Ended, command_line, write_documents


@pytest.fixture(scope="module")
def line(session_dir: Path) -> Iterator[CommandLine]:
    with command_line(session_dir / "bad-input") as started:
        yield started


@pytest.fixture(scope="module")
def documents(session_dir: Path) -> str:
    return str(write_documents(session_dir / "bad-input-documents", number=1))


def refused(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


def test_missing_source(line: CommandLine) -> None:
    refused(line("run", "/no/such/folder"), "There is no file or folder '/no/such/folder'.")


def test_empty_source(line: CommandLine, tmp_path: Path) -> None:
    refused(line("run", str(tmp_path)), "holds no documents")


def test_no_source(line: CommandLine) -> None:
    refused(line("start"), "Name at least one file or folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_source(line: CommandLine, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    secret.chmod(0)
    refused(line("run", str(secret)), "permission denied")


def test_source_that_is_no_file(line: CommandLine) -> None:
    refused(line("run", os.devnull), "neither a file nor a folder")


@pytest.mark.parametrize("workflow_id", ["", " padded", "two\nlines", "x" * 201])
def test_bad_workflow_id(line: CommandLine, documents: str, workflow_id: str) -> None:
    refused(line("run", documents, "--workflow-id", workflow_id), "A workflow id cannot")


@pytest.mark.parametrize(
    "command", [["status"], ["watch"], ["checkpoints"], ["failures"], ["pause"], ["cancel"], ["retry-failed"]]
)
def test_unknown_workflow_id(line: CommandLine, command: list[str]) -> None:
    refused(line(*command, "--workflow-id", "nobody"), "No run with the workflow id 'nobody' is known")


def test_resuming_an_unknown_workflow_id(line: CommandLine) -> None:
    refused(line.resume("--workflow-id", "nobody"), "No run with the workflow id 'nobody' is known")


def test_missing_workflow_id(line: CommandLine) -> None:
    refused(line("status"), "--workflow-id", "list")


@pytest.mark.parametrize(
    "options",
    [["--concurrency", "-1"], ["--concurrency", "many"], ["--batch-size", "-1"], ["--nonsense"], ["--concurrency"]],
)
def test_nonsense_options(line: CommandLine, documents: str, options: list[str]) -> None:
    refused(line("run", documents, *options), "--help")


def test_negative_concurrency_of_a_run(line: CommandLine) -> None:
    refused(line("concurrency", "-1", "--workflow-id", "any"), "greater than or equal to 1")


def test_unknown_command(line: CommandLine) -> None:
    refused(line("stauts"), "No such command 'stauts'", "'status'")


def test_port_in_use(line: CommandLine, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = line("up", "--temporal-port", port, PERDURE_DATA_DIR=str(tmp_path / "other"))
    assert ended.code == 2
    assert port in ended.stderr.strip().splitlines()[-1]
    assert line("down", PERDURE_DATA_DIR=str(tmp_path / "other")).code == 2  # nothing was left running


def test_no_server_at_the_temporal_address(line: CommandLine, documents: str) -> None:
    refused(line("run", documents, TEMPORAL_ADDRESS="127.0.0.1:1"), "No Temporal server can be reached")


def test_wrong_database_url(line: CommandLine, documents: str) -> None:
    away = "postgresql://somebody:secret@127.0.0.1:1/nothing"
    ended = line("run", documents, DATABASE_URL=away)
    refused(ended, "No Postgres server listens")
    assert "secret" not in ended.stderr


def test_unknown_run_is_not_claimed_to_be_unknown_to_a_database_that_is_away(line: CommandLine) -> None:
    away = "postgresql://somebody:secret@127.0.0.1:1/nothing"
    ended = line("status", "--workflow-id", "nobody", DATABASE_URL=away)
    refused(ended, "Postgres")
    assert "is known to" not in ended.stderr


def test_servers_not_running(line: CommandLine, tmp_path: Path) -> None:
    refused(line("list", PERDURE_DATA_DIR=str(tmp_path)), "not running", "starter.py up")


def test_stopping_servers_that_do_not_run(line: CommandLine, tmp_path: Path) -> None:
    refused(line("down", PERDURE_DATA_DIR=str(tmp_path)), "No embedded servers")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "--json"], ["list"]])
def test_reader_that_goes_away_is_no_failure_worth_a_traceback(line: CommandLine, arguments: list[str]) -> None:
    process = line.begin(*arguments)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with process.stderr as stderr:
        assert "Traceback" not in stderr.read()
    assert process.wait() == 141


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'temporalio', 'asyncpg', 'numpy', 'spacy', 'pydantic'}"
    code = f"import sys, commands.catalogue; print(*({heavy} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "\n", "")
