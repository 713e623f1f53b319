"""Every workflow id has its own file, inside the directory."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.errors import DependencyUnavailable
from perdure.stores.files.json_file import PersistentCheckpointStore, file_stem
from tests.conformance.chains import make_chain, make_checkpoint

anything = st.text(st.characters())


@given(anything)
@example("../../etc/passwd")
@example(".")
@example("..")
@example("")
@example("x" * 5000)
@example("\ud800")
def test_a_file_name_is_plain_and_short(workflow_id: str) -> None:
    stem = file_stem(workflow_id)
    assert Path("d", f"{stem}_checkpoints.json").parent == Path("d")
    assert stem.isascii()
    assert not stem.startswith(".")
    assert not set(stem) & set('/\\\0:*?"<>| ')
    assert len(f".{stem}_checkpoints.json.former") <= 255


@given(anything, anything)
@example("a/b", "a%2Fb")
@example("%2E", ".")
@example("x" * 300, "x" * 301)
@example("\u00e9", "e\u0301")
def test_different_ids_have_different_names(one: str, other: str) -> None:
    assert (file_stem(one) == file_stem(other)) == (one == other)


def test_a_plain_id_is_its_own_file_name() -> None:
    for plain in ("contracts-2026", "Order_12.3", "a@b", "550e8400-e29b-41d4-a716-446655440000"):
        assert file_stem(plain) == plain


async def test_ids_that_differ_in_case_have_separate_files(tmp_path: Path) -> None:
    store = PersistentCheckpointStore(tmp_path)
    # On a disk that ignores case, the plain name of "run" finds the file of "Run".
    foreign = tmp_path / "run_checkpoints.json"
    foreign.write_text(f"[\n{make_checkpoint('Run').model_dump_json()}\n]\n")
    before = foreign.read_bytes()
    chain = make_chain("run", 3)
    for checkpoint in chain:
        await store.append(checkpoint)
    assert list(await store.list("run")) == chain
    assert foreign.read_bytes() == before
    assert list(await store.workflow_ids()) == ["Run", "run"]


async def test_foreign_files_are_passed_over_and_not_changed(tmp_path: Path) -> None:
    foreign = {"run": "precious notes", "b": "[1, 2]", "c": '{"a": 1}', "d": "[]", "e": "", "f": '[{"a": 1}]'}
    for name, content in foreign.items():
        (tmp_path / f"{name}_checkpoints.json").write_text(content)
    store = PersistentCheckpointStore(tmp_path)
    chain = make_chain("run", 2)
    assert list(await store.workflow_ids()) == []
    assert await store.latest("run") is None
    for checkpoint in chain:
        await store.append(checkpoint)
    assert list(await store.workflow_ids()) == ["run"]
    assert list(await store.list("run")) == chain
    for name, content in foreign.items():
        assert (tmp_path / f"{name}_checkpoints.json").read_text() == content


async def test_file_holds_the_wire_form_of_each_checkpoint(tmp_path: Path) -> None:
    store = PersistentCheckpointStore(tmp_path / "deep" / "checkpoints")
    chain = make_chain("run", 2)
    for checkpoint in chain:
        await store.append(checkpoint)
    path = tmp_path / "deep" / "checkpoints" / "run_checkpoints.json"
    assert store.path_of("run") == path
    assert json.loads(path.read_bytes()) == [checkpoint.model_dump(mode="json") for checkpoint in chain]


async def test_an_unusable_directory_is_an_unavailable_dependency(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = PersistentCheckpointStore(tmp_path / "file" / "checkpoints")
    with pytest.raises(DependencyUnavailable, match="the store of checkpoint files is unavailable: Not a directory"):
        await store.append(make_checkpoint("run"))
