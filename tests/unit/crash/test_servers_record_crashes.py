"""`servers.json`: after any crash, the file holds the whole former or the whole new record."""

from pathlib import Path

from orchestration.embedded.process import ProcessId
from orchestration.embedded.record import (
    FILE_NAME,
    PostgresRecord,
    ServersRecord,
    TemporalRecord,
    read_record,
    write_record,
)
from tests.unit.crash.recorder import Recorder, record

NOTHING = ServersRecord()
STARTED = ServersRecord(
    PostgresRecord(ProcessId(4242, "boot/17"), 20_001, "postgresql://perdure:secret@127.0.0.1:20001/perdure"),
    TemporalRecord(ProcessId(4243, "boot/18"), 7233, 8233),
)
STOPPED = ServersRecord(
    PostgresRecord(None, 20_001, "postgresql://perdure:secret@127.0.0.1:20001/perdure"),
    TemporalRecord(None, 7233, 8233),
)


def record_changes(folder: Path, *records: ServersRecord) -> Recorder:
    """Record the folder while these records are written one after the other."""
    folder.mkdir()
    with record(folder, NOTHING) as recorder:
        for servers in records:
            write_record(folder, servers)
            recorder.acknowledge(servers)
    return recorder


def test_kill_leaves_the_former_or_the_new_record(tmp_path: Path) -> None:
    recorder = record_changes(tmp_path / "folder", STARTED, STOPPED, STARTED)
    for crash in recorder.kill_process(tmp_path / "after"):
        assert read_record(crash.folder) in crash.expected, crash.operations


def test_power_loss_leaves_a_whole_record(tmp_path: Path) -> None:
    """The servers ended with the machine, so an older record with the same ports is enough."""
    recorder = record_changes(tmp_path / "folder", STARTED, STOPPED, STARTED)
    found = set()
    for crash in recorder.lose_power(tmp_path / "after"):
        servers = read_record(crash.folder)
        assert servers != NOTHING or not (crash.folder / FILE_NAME).exists(), crash.operations
        assert servers in (NOTHING, STARTED, STOPPED), crash.operations
        found.add(servers)
        write_record(crash.folder, STOPPED)
        assert read_record(crash.folder) == STOPPED, crash.operations
    assert found == {NOTHING, STARTED, STOPPED}
