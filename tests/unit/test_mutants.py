"""Each mutant of `make mutants` applies to this tree, and `run.py` reports the survivors."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.embedded.process import identify, wait_until
from tests.mutants.patches import FOLDER, ROOT, InvalidMutant, check_patch, read_mutant, read_mutants
from tests.mutants.run import FOLDER_PREFIX
from tests.mutants.table import PAGE, format_page

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git applies the patches")

PRODUCT = "def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return a * 2\n"
TESTS = "from product import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
HEADER = "Promise: sums are right.\nTests: test_product.py::test_add\n\n--- a/product.py\n+++ b/product.py\n"
KILLED = HEADER + "@@ -1,3 +1,3 @@\n def add(a, b):\n-    return a + b\n+    return a - b\n \n"
SURVIVOR = HEADER + "@@ -5,2 +5,2 @@\n def double(a):\n-    return a * 2\n+    return a * 3\n"


def list_tests(path: Path) -> set[str]:
    """Return the names of the tests in a file, as pytest writes them after the path."""
    names: set[str] = set()
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {node.name, *(f"{node.name}::{method}" for method in methods)}
        if isinstance(node, ast.Assign):  # Hypothesis makes such a class from a state machine, with one method
            classes = [target.id for target in node.targets if isinstance(target, ast.Name)]
            names |= {*classes, *(f"{name}::runTest" for name in classes)}
    return names


def make_project(folder: Path, patches: dict[str, str]) -> None:
    """Create a git repository with the runner, a product file, its test, and these patches."""
    area = folder / "tests/mutants/sums"
    area.mkdir(parents=True)
    for module in FOLDER.glob("*.py"):
        shutil.copy(module, area.parent)
    (folder / "product.py").write_text(PRODUCT)
    (folder / "test_product.py").write_text(TESTS)
    for name, text in patches.items():
        (area / f"{name}.patch").write_text(text)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)


def run_mutants(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `make mutants` in a project, with its temporary files in the project's folder."""
    command = [sys.executable, "-m", "tests.mutants.run", "--jobs", "1", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder.parent), "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@needs_git
def test_every_mutant_applies_to_this_tree() -> None:
    refused = [f"{mutant.label}: {text}" for mutant in read_mutants() if (text := check_patch(mutant))]
    assert refused == [], "run `python -m tests.mutants.remake`"


def test_page_of_guards_shows_every_mutant() -> None:
    assert PAGE.read_text(encoding="utf-8") == format_page(read_mutants()), "run `python -m tests.mutants.table`"


def test_every_mutant_names_tests_that_exist() -> None:
    known: dict[str, set[str]] = {}
    missing: list[str] = []
    for mutant in read_mutants():
        for test in mutant.tests:
            path, _, name = test.partition("[")[0].partition("::")
            if path not in known:
                known[path] = {"", *list_tests(ROOT / path)} if (ROOT / path).is_file() else set()
            if name not in known[path]:
                missing.append(f"{mutant.label}: {test}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (KILLED.replace("Promise: sums are right.\n", ""), "needs a line Promise:"),
        (KILLED.replace("test_product.py::test_add", ""), "needs a line Tests:"),
        ("Tests: test_other.py\n" + KILLED, "two lines Tests:"),
        ("Survives:\n" + KILLED, "needs a reason"),
        (KILLED.replace("product.py\n@@", "tests/product.py\n@@"), "only existing files of the product"),
        (KILLED.partition("---")[0], "changes no existing file"),
    ],
)
def test_unusable_patch_is_refused_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "area" / "name.patch"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InvalidMutant, match=complaint):
        read_mutant(path)


@needs_git
@pytest.mark.slow
def test_runner_reports_survivors_and_leaves_no_file(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_project(project, {"subtract": KILLED, "triple": SURVIVOR})
    report = tmp_path / "report.json"
    ended = run_mutants(project, "--json", str(report))
    results = json.loads(report.read_text())
    assert {mutant["name"]: mutant["outcome"] for mutant in results["mutants"]} == {
        "subtract": "killed",
        "triple": "survived",
    }
    assert ended.returncode == 1, ended.stderr
    assert list(tmp_path.glob(f"{FOLDER_PREFIX}*")) == []
    assert (project / "product.py").read_text() == PRODUCT


@needs_git
@pytest.mark.slow
def test_runner_accepts_killed_and_explained_mutants_only(tmp_path: Path) -> None:
    project = tmp_path / "project"
    explained = "Survives: the function has no caller.\n" + SURVIVOR
    make_project(project, {"broken": KILLED.replace("a + b", "a * b"), "subtract": KILLED, "triple": explained})
    assert run_mutants(project, "subtract", "sums/triple").returncode == 0
    assert run_mutants(project, "broken").returncode == 1
    assert run_mutants(project, "unknown").returncode == 2


@needs_git
def test_patch_is_remade_after_an_edit_beside_its_change(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_project(project, {"subtract": KILLED, "triple": SURVIVOR})
    edited = PRODUCT.replace("def add(a, b):", "# a sum\ndef add(a, b=0):").replace("a * 2", "2 * a")
    (project / "product.py").write_text(edited)
    command = [sys.executable, "-m", "tests.mutants.remake"]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    ended = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "remade sums/subtract" in ended.stdout
    assert "triple.patch: the changed lines were edited" in ended.stdout
    applied = ["git", "apply", str(project / "tests/mutants/sums/subtract.patch")]
    subprocess.run(applied, cwd=project, check=True)
    assert (project / "product.py").read_text() == edited.replace("a + b", "a - b")


@needs_git
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupted_runner_ends_its_tests_and_leaves_no_file(tmp_path: Path, number: signal.Signals) -> None:
    project = tmp_path / "project"
    make_project(project, {"subtract": KILLED})
    started = tmp_path / "started"
    (project / "test_product.py").write_text(
        "import os, pathlib, time\n\n\ndef test_add():\n"
        f"    path = pathlib.Path({str(started)!r})\n"
        "    path.with_suffix('.new').write_text(str(os.getpid()))\n"
        "    path.with_suffix('.new').rename(path)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-m", "tests.mutants.run", "--jobs", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(project)}
    with subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True) as runner:
        assert wait_until(started.exists, 120), runner.poll()
        runner.send_signal(number)
        _, words = runner.communicate()
    assert runner.returncode == 130, words
    assert list(tmp_path.glob(f"{FOLDER_PREFIX}*")) == []
    tests = int(started.read_text())
    assert wait_until(lambda: identify(tests) is None, 60), "the tests run on"
