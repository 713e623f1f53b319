"""An export gets its name in one step, and replaces an earlier export only with `force`."""

from pathlib import Path

import pytest

from commands.export_target import check_target, staged, standard_path
from perdure.errors import RefusedCommand
from perdure.services.analytics.export import ExportFormat

GRAPH = ExportFormat.GRAPHML
TABLES = ExportFormat.CSV


def contents(folder: Path) -> dict[str, str]:
    """Return the text of every file below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def put(path: Path, form: ExportFormat, text: str, *, force: bool = False) -> None:
    """Export a text."""
    with staged(path, form, force=force) as unfinished:
        (unfinished if form.is_graph else unfinished / "edges.csv").write_text(text)


def put_half(path: Path, form: ExportFormat, before: dict[str, str]) -> None:
    """Begin an export, and interrupt it."""
    with staged(path, form, force=True) as unfinished:
        (unfinished if form.is_graph else unfinished / "edges.csv").write_text("half")
        assert contents(path.parent).items() >= before.items()
        raise KeyboardInterrupt


def put_twice(path: Path, form: ExportFormat) -> None:
    """Begin an export, and let a second export finish before the first."""
    with staged(path, form, force=False) as unfinished:
        (unfinished if form.is_graph else unfinished / "edges.csv").write_text("late")
        put(path, form, "early")


@pytest.mark.parametrize("form", [GRAPH, TABLES])
def test_earlier_export_stays_until_the_later_one_is_whole(form: ExportFormat, tmp_path: Path) -> None:
    target = tmp_path / "out"
    put(target, form, "first")
    before = contents(tmp_path)
    with pytest.raises(RefusedCommand, match="--force"):
        put(target, form, "second")
    with pytest.raises(KeyboardInterrupt):
        put_half(target, form, before)
    assert contents(tmp_path) == before
    put(target, form, "third", force=True)
    assert contents(tmp_path) == dict.fromkeys(before, "third")


@pytest.mark.parametrize("form", [GRAPH, TABLES])
def test_export_never_replaces_an_export_that_finished_first(form: ExportFormat, tmp_path: Path) -> None:
    with pytest.raises(RefusedCommand):
        put_twice(tmp_path / "out", form)
    assert list(contents(tmp_path).values()) == ["early"]


def test_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    (tmp_path / "edges.csv").write_text("old")
    for form in (TABLES, ExportFormat.PARQUET):
        with pytest.raises(RefusedCommand, match=r"letters\.txt"):
            put(tmp_path, form, "new", force=True)
    assert contents(tmp_path) == {"letters.txt": "dear", "edges.csv": "old"}


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    put(tmp_path / "out", TABLES, "x")
    assert contents(tmp_path) == {"out/edges.csv": "x"}


def test_export_to_a_link_replaces_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", GRAPH, "new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize(
    ("place", "form", "sentence"),
    [
        ("/no/such/folder/x", GRAPH, "no folder '/no/such/folder'"),
        ("/dev/null", GRAPH, "no regular file"),
        ("/dev/null", TABLES, "no folder"),
        ("/tmp", GRAPH, "is a folder"),
        ("/proc/x", GRAPH, "cannot be written"),
        ("/proc/x", TABLES, "cannot be written"),
        ("/tmp/" + "x" * 300, GRAPH, "File name too long"),
        ("/tmp/" + "x" * 300, TABLES, "File name too long"),
    ],
)
def test_unusable_place_is_refused(place: str, form: ExportFormat, sentence: str) -> None:
    with pytest.raises(RefusedCommand, match=sentence), staged(Path(place), form, force=True) as unfinished:
        assert not unfinished.exists()


def test_standard_name_holds_no_path_whatever_the_workflow_id_is() -> None:
    for form in ExportFormat:
        assert standard_path("../../etc/x y", form).parent == Path()
        check_target(standard_path("a run", form), form, force=False)
    assert [str(standard_path("run", form)) for form in ExportFormat] == [
        "run.graphml",
        "run_graph.json",
        "run_parquet",
        "run_csv",
    ]
