"""Run `make mutation-tool`: mutate the pure modules mechanically, and report what their unit tests miss.

cosmic-ray makes the mutants; it is installed into a separate environment. The tests run in a copy of the tree. Each
module has its own fast tests. docs/testing.md has the scores and explains the survivors.
"""

import argparse
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".mutation"
TREE = WORK / "tree"
COSMIC_RAY = "cosmic-ray==8.7.0"
TESTS: dict[str, str] = {
    "perdure/checkpoint": "tests/unit/checkpoint tests/unit/stores/test_checkpoint_form.py",
    "perdure/services/identity/clusters.py": "tests/unit/services/test_identity_laws.py -k cluster",
    "perdure/stores/files/array_file.py": "tests/unit/stores/test_array_file.py"
    " tests/unit/stores/test_array_file_writes.py tests/unit/crash/test_array_file_crashes.py",
    "workflows/breaker.py": "tests/unit/workflows/test_breaker.py",
    "workflows/state.py": "tests/unit/workflows/test_state.py",
    "workflows/window.py": "tests/workflow/test_window.py",
}
"""The mutated modules, and the arguments of pytest for each."""
OPTIONS = "-x -q -n 0 -p no:cacheprovider --hypothesis-profile without-shrinking"
"""Arguments of pytest for every module. A smaller counterexample would cost minutes for each mutant."""
TIMEOUT_SECONDS = 300
IMPLAUSIBLE = (
    "core/ReplaceBinaryOperator_BitOr_.*",  # most are types, which no test can notice
    "core/ReplaceBinaryOperator_.*_(Pow|LShift|RShift|BitAnd|BitXor|BitOr|Mod|FloorDiv|Div)",
    "core/ReplaceUnaryOperator_(USub|UAdd|Invert|Not)_.*",
    "core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)",
    "core/RemoveDecorator",  # of dataclasses, properties and validators: the import fails
    "core/ExceptionReplacer",
)
"""Operators of cosmic-ray whose mutants are no slips of a programmer."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; argparse ends the process with exit code 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="make mutation-tool", description=str(__doc__).partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="some of the modules; all if none is given")
    parser.add_argument("--sample", type=int, metavar="N", help="try at most N mutants of each module")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    given = parser.parse_args(arguments)
    for module in given.modules:
        if module not in TESTS:
            parser.error(f"There are no tests for '{module}'. Choose from: {', '.join(TESTS)}.")
    return given


def install_tool() -> Path:
    """Return the folder of the tool's programs, installed on first use."""
    programs = WORK / "venv" / "bin"
    if not (programs / "cosmic-ray").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "venv")], check=True)
        subprocess.run([str(programs / "pip"), "install", "--quiet", COSMIC_RAY], check=True)
    return programs


def copy_tree() -> None:
    """Copy the files that git knows or would add."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)


def make_session(programs: Path, module: str, sample: int | None, seed: int) -> str:
    """Write the configuration and the list of mutants of a module; return the name of both files without its end."""
    name = module.removesuffix(".py").replace("/", "-")
    python = ROOT / ".venv" / "bin" / "python"
    operators = ", ".join(f"'{operator}'" for operator in IMPLAUSIBLE)
    (TREE / f"{name}.toml").write_text(
        f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = {TIMEOUT_SECONDS}\nexcluded-modules = ["**/__init__.py"]\n'
        f'test-command = "{python} -m pytest {OPTIONS} {TESTS[module]}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = [{operators}]\n"
    )
    subprocess.run([str(programs / "cosmic-ray"), "init", f"{name}.toml", f"{name}.sqlite"], cwd=TREE, check=True)
    subprocess.run([str(programs / "cr-filter-operators"), f"{name}.sqlite", f"{name}.toml"], cwd=TREE, check=True)
    with sqlite3.connect(TREE / f"{name}.sqlite") as database:
        pending = database.execute(
            "SELECT job_id FROM work_items WHERE job_id NOT IN (SELECT job_id FROM work_results) ORDER BY job_id"
        ).fetchall()
        # The order of the list is random in each session; the place in the file names a mutant for good.
        places = dict(
            database.execute(
                "SELECT job_id, operator_name || ' ' || module_path || ' ' || start_pos_row || ' ' || start_pos_col"
                " || ' ' || occurrence FROM mutation_specs"
            ).fetchall()
        )
        jobs = sorted((job for (job,) in pending), key=lambda job: str(places[job]))
        kept = jobs if sample is None else random.Random(seed).sample(jobs, min(sample, len(jobs)))  # noqa: S311 - a sample
        for job in set(places) - set(kept):
            for table in ("work_results", "mutation_specs", "work_items"):
                database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job,))  # noqa: S608 - a constant
    return name


def describe_session(name: str) -> tuple[int, int, list[str]]:
    """Return the number of tried mutants, the number of killed ones, and the differences of the survivors."""
    with sqlite3.connect(TREE / f"{name}.sqlite") as database:
        results = database.execute("SELECT test_outcome, diff FROM work_results").fetchall()
    survivors = [str(diff) for outcome, diff in results if str(outcome).lower() == "survived"]
    return len(results), len(results) - len(survivors), survivors


def main() -> None:
    """Run the sessions of the chosen modules, and print the survivors and a table of scores."""
    given = parse_arguments(sys.argv[1:])
    WORK.mkdir(exist_ok=True)
    programs = install_tool()
    copy_tree()
    lines = ["| module | mutants | killed | score |", "| --- | ---: | ---: | ---: |"]
    for module in given.modules or TESTS:
        name = make_session(programs, module, given.sample, given.seed)
        for action in (["baseline", f"{name}.toml"], ["exec", f"{name}.toml", f"{name}.sqlite"]):
            subprocess.run([str(programs / "cosmic-ray"), *action], cwd=TREE, check=True)
        tried, killed, survivors = describe_session(name)
        sys.stdout.write("".join(f"{difference}\n" for difference in survivors))
        lines.append(f"| `{module}` | {tried} | {killed} | {killed / max(1, tried):.0%} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
