"""A report replaces an earlier report only, and a failed write leaves no part of a report behind."""

from pathlib import Path

import pytest

from commands.report_file import standard_path, write_page
from perdure.errors import RefusedCommand
from perdure.report.page import render
from perdure.stores.files.json_file import PersistentCheckpointStore
from tests.unit.report.sample import empty_run


def test_only_an_earlier_report_is_replaced_without_force(tmp_path: Path) -> None:
    path = tmp_path / "run_report.html"
    page = render(empty_run())
    write_page(path, "an earlier report\n" + page, force=False)
    write_page(path, page, force=False)
    assert path.read_text() == page
    path.write_text("<html>my own notes</html>")
    with pytest.raises(RefusedCommand, match="--force"):
        write_page(path, page, force=False)
    assert path.read_text() == "<html>my own notes</html>"
    write_page(path, page, force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["run_report.html"]
    assert path.read_text() == page


def test_unwritable_path_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "report.html", tmp_path / ("x" * 300)):
        with pytest.raises(RefusedCommand, match=r"^[^\n]+\.$"):
            write_page(path, "page", force=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workflow_id", ["plain", "../../etc/passwd", "a b/c", "ü" * 90, ".hidden"])
def test_report_is_named_like_the_checkpoint_file(workflow_id: str, tmp_path: Path) -> None:
    name = standard_path(workflow_id).name
    assert str(standard_path(workflow_id)) == name
    checkpoints = PersistentCheckpointStore(tmp_path).path_of(workflow_id).name
    assert name.removesuffix("_report.html") == checkpoints.removesuffix("_checkpoints.json")
