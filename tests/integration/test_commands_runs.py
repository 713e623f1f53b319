"""Exit codes, JSON and streams of the commands that start, read and steer runs.

The file is longer than 300 lines because its tests share the runs of one data folder.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestration.worker.slot import live_workers
from perdure.checkpoint import upgrade
from tests.integration.command_line import PATIENCE_SECONDS, CommandLine, Ended, command_line, write_documents

REPORT = {
    "workflow_id": str,
    "run_id": str,
    "workflow_status": str,
    "documents": {"total": int, "processed": int, "quarantined": int, "remaining": int},
    "quality_score": float,
    "latest_checkpoint": {"checkpoint_id": str, "sequence": int, "timestamp": str, "processed_documents": int},
    "web_ui": str,
}
FAILURE = {"position": int, "uri": str, "reason": str, "error_type": str, "attempts": int}
FAILED = "with-a-failure"


@pytest.fixture(scope="module")
def line(session_dir: Path) -> Iterator[CommandLine]:
    with command_line(session_dir / "runs") as started:
        yield started


@pytest.fixture(scope="module")
def documents(session_dir: Path) -> Path:
    """Three letters and an empty file."""
    folder = write_documents(session_dir / "run-documents", number=3)
    (folder / "nothing.txt").touch()
    return folder


@pytest.fixture(scope="module")
def failed_run(line: CommandLine, documents: Path) -> Ended:
    return line("run", str(documents), "--workflow-id", FAILED, "--json")


def shape(value: Any) -> Any:
    """Return the value with each leaf replaced by its type."""
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value)


def counts(report: Any) -> tuple[int, int, int, int]:
    """Return the documents of a report: total, processed, quarantined, remaining."""
    documents = report["documents"]
    return documents["total"], documents["processed"], documents["quarantined"], documents["remaining"]


def test_run_with_a_failed_document_ends_with_code_1(failed_run: Ended) -> None:
    assert failed_run.code == 1
    assert shape(failed_run.json) == REPORT
    assert failed_run.json["workflow_status"] == "completed_with_failures"
    assert counts(failed_run.json) == (4, 3, 1, 0)
    assert "4 of 4 documents" in failed_run.stderr


def test_status_list_and_watch_print_the_same_report(line: CommandLine, failed_run: Ended) -> None:
    status = line("status", "--workflow-id", FAILED, "--json")
    assert (status.code, status.json) == (0, failed_run.json)
    watched = line("watch", "--workflow-id", FAILED, "--json")
    assert (watched.code, watched.json) == (1, failed_run.json)
    listed = line("list", "--json")
    assert listed.code == 0
    assert failed_run.json in listed.json


def test_checkpoints_are_listed_oldest_first(line: CommandLine, failed_run: Ended) -> None:
    listed = line("checkpoints", "--workflow-id", FAILED, "--json")
    assert listed.code == 0
    stored = [upgrade(checkpoint) for checkpoint in listed.json]
    assert [checkpoint.sequence for checkpoint in stored] == list(range(1, len(stored) + 1))
    assert stored[-1].checkpoint_id == failed_run.json["latest_checkpoint"]["checkpoint_id"]
    assert set(stored[-1].service_states) >= {"IdentityService", "AnalyticsService"}


def test_failures_are_listed_with_their_reasons(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    [failure] = line("failures", "--workflow-id", FAILED, "--json").json
    assert shape(failure) == FAILURE
    assert failure["uri"].endswith("/nothing.txt")
    assert failure["error_type"] == "EmptyDocument"


def test_report_is_written_to_the_named_file_and_to_stdout(
    line: CommandLine, failed_run: Ended, tmp_path: Path
) -> None:
    assert failed_run.code == 1
    path = tmp_path / "report.html"
    written = line("report", "--workflow-id", FAILED, "--output", str(path), "--json")
    page = path.read_text()
    assert (written.code, written.json) == (
        0,
        {
            "workflow_id": FAILED,
            "workflow_status": "completed_with_failures",
            "file": str(path),
            "bytes": len(page.encode()),
        },
    )
    assert "Completed with failures: 3 of 4 documents processed, 1 quarantined with a reason, in" in page
    assert "nothing.txt" in page
    assert "Ada Lovelace" in page
    assert "Every checkpoint found every service healthy." in page
    printed = line("report", "--workflow-id", FAILED, "--output", "-")
    assert (printed.code, printed.stdout) == (0, page)  # the same run gives the same page


def test_report_without_temporal_comes_from_postgres(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    away = line("report", "--workflow-id", FAILED, "--output", "-", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert away.code == 0
    assert "3 of 4 documents processed" in away.stdout
    assert "crashes are not shown" in away.stdout
    assert "from Postgres alone" in away.stderr


def test_report_refuses_unknown_run_foreign_file_and_mixed_stdout(
    line: CommandLine, failed_run: Ended, tmp_path: Path
) -> None:
    assert failed_run.code == 1
    notes = tmp_path / "notes.html"
    notes.write_text("notes of the user")
    for arguments in (
        ["--workflow-id", "unheard-of", "--output", str(tmp_path / "none.html")],
        ["--workflow-id", FAILED, "--output", str(notes)],
        ["--workflow-id", FAILED, "--output", "-", "--json"],
    ):
        refused = line("report", *arguments)
        assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.html"]
    assert notes.read_text() == "notes of the user"


def test_commands_without_json_print_tables(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    assert FAILED in line("list").stdout
    assert "EmptyDocument" in line("failures", "--workflow-id", FAILED).stdout
    assert "all healthy" in line("checkpoints", "--workflow-id", FAILED).stdout
    assert "completed with failures" in line("status", "--workflow-id", FAILED).stdout


def test_reading_commands_take_the_latest_run_and_name_it(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    latest = line("list", "--json").json[0]["workflow_id"]
    for command in ("status", "checkpoints", "failures", "watch"):
        ended = line(command, "--json")
        assert ended.json == line(command, "--json", "-w", latest).json
        assert f"Run: {latest} (the latest" in ended.stderr
    exported = line("export", "--format", "json", "--json")
    assert exported.json["path"].startswith(str(line.data_dir / "exports"))


def test_unknown_run_is_refused_with_the_known_runs(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    refused = line("status", "-w", "no-such-run")
    assert refused.code == 2
    assert f"'{FAILED}'" in refused.stderr.partition("The known runs are:")[2]


def test_dry_run_counts_changes_and_starts_nothing(line: CommandLine, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "letters", number=4)
    source = ("run", str(folder), "--workflow-id", "looked-at")
    new = line(*source, "--dry-run", "--json")
    assert (new.code, new.json["new"], new.json["to_process"]) == (0, 4, 4)
    assert new.json["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert line("status", "-w", "looked-at").code == 2
    assert line(*source).code == 0
    first, second, third, _ = sorted(folder.iterdir())
    first.write_text("The Harbour Trust sold every lamp.")
    second.touch()
    third.unlink()
    ahead = line(*source, "--dry-run", "--json").json
    kinds = ("new", "changed", "outdated", "unfinished", "unchanged", "gone", "to_process")
    assert {kind: ahead[kind] for kind in kinds} == dict(zip(kinds, (0, 1, 0, 0, 2, 1, 1), strict=True))


def test_web_ui_link_names_no_execution(failed_run: Ended) -> None:
    assert failed_run.json["web_ui"].endswith(f"/workflows/{FAILED}")


def test_resume_of_an_ended_run_changes_nothing(line: CommandLine, failed_run: Ended) -> None:
    resumed = line.resume("--workflow-id", FAILED, "--json")
    assert (resumed.code, resumed.json) == (1, failed_run.json)
    assert "Nothing is left to do" in resumed.stderr


def test_resume_from_unknown_checkpoint_is_refused(line: CommandLine, failed_run: Ended) -> None:
    assert failed_run.code == 1
    refused = line.resume("--workflow-id", FAILED, "--checkpoint-id", "chk_unheard_of")
    assert (refused.code, refused.stdout) == (2, "")
    assert "no checkpoint 'chk_unheard_of'" in refused.stderr


def test_retry_failed_processes_quarantined_documents_only(line: CommandLine, documents: Path) -> None:
    assert line("run", str(documents), "--workflow-id", "retried").code == 1
    before = line.report("retried")
    (documents / "nothing.txt").write_text("Grace Hopper wrote to the Harbour Trust after all.")
    (documents / "letter-0.txt").write_text("This document changed and had not failed, so a retry leaves it alone.")
    retried = line("retry-failed", "--workflow-id", "retried", "--json")
    assert retried.code == 0, retried
    assert counts(retried.json) == (4, 4, 0, 0)
    new = line("checkpoints", "--workflow-id", "retried", "--json").json[before["latest_checkpoint"]["sequence"] :]
    finished = sum(end - first for later in new for first, end in later["state_data"]["finished_since_last"])
    assert finished == 1
    again = line("retry-failed", "--workflow-id", "retried")
    assert again.code == 2
    assert "no quarantined documents" in again.stderr


def test_summary_prints_an_sql_command_that_works(line: CommandLine, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "letters", number=2)
    ended = line("run", str(folder), "--workflow-id", "it's $mine")
    assert ended.code == 0, ended
    assert "2 processed, 0 quarantined, of 2" in ended.stdout
    facts = dict(row.strip().split(":", 1) for row in ended.stdout.splitlines() if ": " in row)
    assert Path(facts["File"].strip()).read_text().startswith("[")
    shell = os.popen(facts["SQL"].strip())
    assert "completed" in shell.read()
    assert shell.close() is None


def test_open_run_is_steered_until_it_is_closed(line: CommandLine, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "letters", number=3)
    first, second, third = sorted(str(path) for path in folder.iterdir())
    run = ("--workflow-id", "open")
    started = line("start", first, "--open", "--json", *run)
    assert started.code == 0
    assert started.json["workflow_status"] == "in_progress"
    assert "No worker of this data folder is alive" in started.stderr

    refused = line("pause", *run)
    assert refused.code == 2
    assert "No worker is alive" in refused.stderr, "after a wait for an answer the command says that none came"
    again = line("start", first, *run)
    assert again.code == 2
    assert "already running" in again.stderr

    with line.worker():
        added = line("add", second, *run, "--wait", "--json")
        assert added.code == 0, added
        assert added.json["latest_checkpoint"]["processed_documents"] == 2
        assert line("concurrency", "2", *run).code == 0
        assert line("pause", *run, "--json").json["workflow_status"] == "paused"
        assert line("add", third, *run).code == 0
        assert counts(line.report("open")) == (3, 2, 0, 1)
        assert line("unpause", *run).code == 0
        assert line("close", *run).code == 0
        watched = line("watch", *run, "--json")
        assert watched.code == 0
        assert counts(watched.json) == (3, 3, 0, 0)
    late = line("add", third, *run)
    assert late.code == 2
    assert "is not running" in late.stderr


def test_cancel_writes_a_last_checkpoint(line: CommandLine, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "letters", number=1)
    run = ("--workflow-id", "cancelled")
    assert line("start", str(folder), "--open", *run).code == 0
    with line.worker():
        line.until("cancelled", lambda report: report["documents"]["processed"] == 1)
        cancelled = line("cancel", "--wait", *run, "--json")
    assert cancelled.code == 0
    assert cancelled.json["workflow_status"] == "cancelled"
    last = line("checkpoints", *run, "--json").json[-1]
    assert last["state_data"]["workflow_status"] == "cancelled"
    assert line("watch", *run).code == 1
    resumed = line.resume(*run, "--json")
    assert resumed.code == 0, resumed
    assert counts(resumed.json) == (1, 1, 0, 0)
    assert resumed.json["run_id"] != cancelled.json["run_id"]


def test_worker_of_a_detached_run_stays_until_down(tmp_path: Path, session_dir: Path) -> None:
    folder = write_documents(tmp_path / "letters", number=1)
    with command_line(session_dir / "detached") as line:
        started = line("run", str(folder), "--detach", "--workflow-id", "left-alone", "--json")
        assert started.code == 0
        assert shape(started.json)["documents"] == REPORT["documents"]
        [pid] = live_workers(line.data_dir).values()
        assert line("watch", "--workflow-id", "left-alone").code == 0
        assert psutil.pid_exists(pid)
        assert "Stopped 1 worker" in line("down").stderr
        assert live_workers(line.data_dir) == {}


def test_up_runs_in_the_foreground_until_sigterm(tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "data")
    up = line.begin("up")
    assert up.stderr
    for shown in up.stderr:
        if "Ctrl-C stops them" in shown:
            break
    again = line("up")
    assert again.code == 0
    assert "running already" in again.stderr
    assert "postgresql://" in again.stderr
    assert up.poll() is None
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=PATIENCE_SECONDS)
    assert up.returncode == 0
    assert line("list").code == 2
