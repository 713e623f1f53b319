"""The distribution: its packages, its locks, and the paths that its pages name."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
LOCKED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def read_lock(name: str) -> dict[str, set[str]]:
    """Return the versions that a lock names, by package."""
    locked: dict[str, set[str]] = {}
    for package, version in LOCKED.findall((ROOT / name).read_text(encoding="utf-8")):
        locked.setdefault(package, set()).add(version)
    return locked


def test_no_dependency_installs_a_package_of_our_names() -> None:
    """docs/decisions/0013-top-level-packages.md depends on this fact."""
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, [])) - {"perdure"} for name in PACKAGES} == {name: set() for name in PACKAGES}


def test_every_package_that_the_program_imports_is_in_the_wheel() -> None:
    imported = set()
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*.py"):
            imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    local = {path.name for path in ROOT.iterdir() if path.is_dir()} | {path.stem for path in ROOT.glob("*.py")}
    assert (imported & local) - PACKAGES == set()


def test_runtime_lock_is_part_of_the_development_lock() -> None:
    runtime = read_lock("requirements.lock")
    development = read_lock("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime
    assert not {"pytest", "moto", "mypy", "hypothesis", "ruff"} & set(runtime)
    assert {"pytest", "hatchling", "ruff"} <= set(development)


def test_every_declared_dependency_is_locked() -> None:
    declared = {re.split(r"[<>=\[~! ]", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert declared <= set(read_lock("requirements.lock"))


@pytest.mark.parametrize("page", ["README.md", "docs/reliability.md"])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|benchmarks|docs|tools|samples|ops)/[\w./-]*)`", text)
    linked = [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not link.startswith(("http", "#", "mailto:"))
    ]
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert [link for link in linked if not ((ROOT / page).parent / link).exists()] == []
