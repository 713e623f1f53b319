"""Write docs/guards.md, the table of all guards and their tests, from the patches of the mutants.

`python -m tests.mutants.table` writes the page. A unit test fails if the page and the patches differ.
"""

import itertools
import sys
from collections.abc import Sequence

from tests.mutants.patches import ROOT, Mutant, read_mutants

PAGE = ROOT / "docs" / "guards.md"
_TOP = """# Guards and their tests

A guard is a line that a promise rests on and that an undisturbed run does not need: a lock, an fsync, an order, a
bound, a check. Each row has a promise, the mutant in `tests/mutants/` that removes a guard of the promise, and the
tests that fail without the guard. `make mutants` removes the guards one by one and runs these tests.

`python -m tests.mutants.table` writes this page from the patches. Do not edit the page.
"""


def format_page(mutants: Sequence[Mutant]) -> str:
    """Return the page: one table for each file of the product, in the order of paths."""
    lines = [_TOP]
    by_file = sorted(mutants, key=lambda mutant: (mutant.changed_files, mutant.label))
    for files, group in itertools.groupby(by_file, key=lambda mutant: mutant.changed_files):
        lines += [f"## {', '.join(files)}", "", "| promise | mutant | tests |", "| --- | --- | --- |"]
        for mutant in group:
            survives = f" Survives: {mutant.survives}" if mutant.survives else ""
            tests = "<br>".join(f"`{test}`" for test in mutant.tests)
            lines.append(f"| {_escape(mutant.promise + survives)} | {mutant.label} | {_escape(tests)} |")
        lines.append("")
    return "\n".join(lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(format_page(read_mutants()), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
