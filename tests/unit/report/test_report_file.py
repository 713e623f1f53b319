"""A report never takes the place of anybody's file, and is there whole or not at all."""

from pathlib import Path

import pytest

from commands.report_file import standard_path, write_page
from perdure.errors import RefusedCommand
from perdure.report.page import render
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.unit.report.sample import empty_run


def test_an_earlier_report_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path, page = tmp_path / "run_report.html", render(empty_run())
    write_page(path, "an old one\n" + page, force=False)
    write_page(path, page, force=False)
    assert path.read_text() == page
    path.write_text("<html>my own notes</html>")
    with pytest.raises(RefusedCommand, match="--force"):
        write_page(path, page, force=False)
    assert path.read_text() == "<html>my own notes</html>"
    write_page(path, page, force=True)
    assert [one.name for one in tmp_path.iterdir()] == ["run_report.html"]
    assert path.read_text() == page


def test_where_it_cannot_be_written_one_sentence_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "report.html", tmp_path / ("x" * 300)):
        with pytest.raises(RefusedCommand, match=r"^[^\n]+\.$"):
            write_page(path, "page", force=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workflow_id", ["plain", "../../etc/passwd", "a b/c", "ü" * 90, ".hidden"])
def test_its_name_is_that_of_the_checkpoint_file(workflow_id: str, tmp_path: Path) -> None:
    name = standard_path(workflow_id).name
    assert str(standard_path(workflow_id)) == name
    checkpoints = PersistentCheckpointStore(tmp_path).path_of(workflow_id).name
    assert name.removesuffix("_report.html") == checkpoints.removesuffix("_checkpoints.json")
