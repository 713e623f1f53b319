"""A refused command prints one line on stderr, exits with code 2, and changes nothing."""

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


def assert_refused(ended: Ended, *words: str) -> None:
    """Check that the command printed one line, with these words, and left with exit code 2."""
    assert ended.code == 2, ended
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


def test_missing_source_is_refused(line: CommandLine) -> None:
    assert_refused(line("run", "/no/such/folder"), "There is no file or folder '/no/such/folder'.")


def test_empty_folder_is_refused(line: CommandLine, tmp_path: Path) -> None:
    assert_refused(line("run", str(tmp_path)), "holds no documents")


def test_start_without_source_is_refused(line: CommandLine) -> None:
    assert_refused(line("start"), "Name at least one file or folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_source_is_refused(line: CommandLine, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    secret.chmod(0)
    assert_refused(line("run", str(secret)), "permission denied")


def test_device_as_source_is_refused(line: CommandLine) -> None:
    assert_refused(line("run", os.devnull), "neither a file nor a folder")


@pytest.mark.parametrize("workflow_id", ["", " padded", "two\nlines", "x" * 201])
def test_unusable_workflow_id_is_refused(line: CommandLine, documents: str, workflow_id: str) -> None:
    assert_refused(line("run", documents, "--workflow-id", workflow_id), "A workflow id cannot")


@pytest.mark.parametrize(
    "command", [["status"], ["watch"], ["checkpoints"], ["failures"], ["pause"], ["cancel"], ["retry-failed"]]
)
def test_unknown_workflow_id_is_refused(line: CommandLine, command: list[str]) -> None:
    assert_refused(line(*command, "--workflow-id", "no-such-run"), "No run with the workflow id 'no-such-run' is known")


def test_resume_of_unknown_workflow_id_is_refused(line: CommandLine) -> None:
    assert_refused(line.resume("--workflow-id", "no-such-run"), "No run with the workflow id 'no-such-run' is known")


@pytest.mark.parametrize("command", ["pause", "retry-failed", "rebuild-mirror", "resume"])
def test_changing_command_without_workflow_id_is_refused(line: CommandLine, command: str) -> None:
    assert_refused(line(command), "--workflow-id", "list")


@pytest.mark.parametrize("command", ["status", "watch", "checkpoints", "failures", "verify"])
def test_reading_command_without_any_run_is_refused(line: CommandLine, command: str) -> None:
    assert_refused(line(command), "There are no runs yet.")


@pytest.mark.parametrize(
    "options",
    [["--concurrency", "-1"], ["--concurrency", "many"], ["--batch-size", "-1"], ["--nonsense"], ["--concurrency"]],
)
def test_unknown_option_or_value_is_refused(line: CommandLine, documents: str, options: list[str]) -> None:
    assert_refused(line("run", documents, *options), "--help")


def test_negative_concurrency_is_refused(line: CommandLine) -> None:
    assert_refused(line("concurrency", "-1", "--workflow-id", "any"), "greater than or equal to 1")


def test_unknown_command_is_refused_with_a_suggestion(line: CommandLine) -> None:
    assert_refused(line("stauts"), "No such command 'stauts'", "'status'")


def test_port_in_use_is_refused(line: CommandLine, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = line("up", "--temporal-port", port, PERDURE_DATA_DIR=str(tmp_path / "other"))
    assert ended.code == 2
    assert port in ended.stderr.strip().splitlines()[-1]
    assert line("down", PERDURE_DATA_DIR=str(tmp_path / "other")).code == 2  # no server was left running


def test_temporal_address_without_server_is_refused(line: CommandLine, documents: str) -> None:
    assert_refused(line("run", documents, TEMPORAL_ADDRESS="127.0.0.1:1"), "No Temporal server can be reached")


def test_database_url_without_server_is_refused_before_servers_start(
    line: CommandLine, documents: str, tmp_path: Path
) -> None:
    away = "postgresql://user:secret@127.0.0.1:1/nothing"
    ended = line("run", documents, DATABASE_URL=away, PERDURE_DATA_DIR=str(tmp_path))
    assert_refused(ended, "No Postgres server listens")
    assert "secret" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_refusal_names_the_database_that_is_away(line: CommandLine) -> None:
    away = "postgresql://user:secret@127.0.0.1:1/nothing"
    ended = line("status", "--workflow-id", "no-such-run", DATABASE_URL=away)
    assert_refused(ended, "Postgres")
    assert "is known to" not in ended.stderr


def test_list_without_servers_names_the_command_up(line: CommandLine, tmp_path: Path) -> None:
    assert_refused(line("list", PERDURE_DATA_DIR=str(tmp_path)), "not running", "starter.py up")


def test_down_without_servers_is_refused(line: CommandLine, tmp_path: Path) -> None:
    assert_refused(line("down", PERDURE_DATA_DIR=str(tmp_path)), "No embedded servers")


def test_kill_worker_without_worker_is_refused(line: CommandLine, tmp_path: Path) -> None:
    assert_refused(line("kill-worker", PERDURE_DATA_DIR=str(tmp_path)), "No worker")


def test_keep_with_twenty_digits_is_refused(line: CommandLine) -> None:
    assert_refused(line("prune", "--all", "--keep", "12345678901234567890"), "--keep")


def test_samples_go_to_an_empty_folder_only(line: CommandLine, tmp_path: Path) -> None:
    written = line("samples", str(tmp_path / "new"), "--copies", "2", "--json")
    assert (written.code, written.json["documents"]) == (0, sum(path.is_file() for path in tmp_path.rglob("*")))
    assert_refused(line("samples", str(tmp_path / "new")), "is not empty")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "--json"]])
def test_closed_pipe_ends_command_with_code_141(line: CommandLine, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # before the command starts: its whole output would fit into an open pipe
    with os.fdopen(writing, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, str(ROOT / "starter.py"), *arguments],
            cwd=ROOT,
            env=line.environment,
            stdin=subprocess.DEVNULL,
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 141


def test_help_loads_no_heavy_library() -> None:
    heavy = "{'temporalio', 'asyncpg', 'numpy', 'spacy', 'pydantic'}"
    code = f"import sys, commands.catalogue; print(*({heavy} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "\n", "")
