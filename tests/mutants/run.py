"""Run `make mutants`: apply wrong changes to copies of the tree, and report those that no test notices.

Exit codes: 0 the tests notice every mutant, or its patch explains why not; 1 a mutant survived or is broken, or a test
fails without any mutant; 2 wrong arguments or an unusable patch; 130 Ctrl-C.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.outcomes import Outcome, Result, count_outcomes, describe_results, format_table, is_success
from tests.mutants.patches import InvalidMutant, Mutant, read_mutants, select_mutants
from tests.mutants.tree_copies import TreeCopy

FOLDER_PREFIX = "perdure-mutants-"
_REFUSED = 2
_INTERRUPTED = 130


class FailsUnmutated(Exception):
    """A named test fails on the unchanged tree; the message is pytest's output."""


def parse_arguments() -> argparse.Namespace:
    """Parse the command line; argparse ends the process with exit code 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="make mutants", description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="an area, a mutant, or AREA/MUTANT; all if none is given"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="number of mutants tested at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    given = parser.parse_args()
    if given.jobs < 1:
        parser.error("--jobs must be at least 1.")
    return given


def write_progress(line: str, *, final: bool = False) -> None:
    """Write a line to standard error: over the line before on a terminal, below it elsewhere."""
    terminal = sys.stderr.isatty()
    sys.stderr.write(f"\r\x1b[K{line}" if terminal and not final else f"{line}\n")
    sys.stderr.flush()


async def try_mutants(mutants: Sequence[Mutant], jobs: int, folder: Path) -> list[Result]:
    """Run the tests of every mutant, in `jobs` copies of the tree at a time.

    Raises:
        FailsUnmutated: a test fails on the unchanged tree, so that its failures prove nothing.
    """
    write_progress(f"Copying the tree {jobs} times to {folder}")
    copies = [TreeCopy.create(folder / str(number)) for number in range(jobs)]
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    write_progress(f"Running {len(tests)} named tests without a mutant")
    failure = await copies[0].run_unmutated(tests, jobs)
    if failure is not None:
        raise FailsUnmutated(failure)
    waiting = list(reversed(mutants))
    results: list[Result] = []

    async def work(copy: TreeCopy) -> None:
        while waiting:
            result = await copy.run_mutant(waiting.pop())
            results.append(result)
            counts = count_outcomes(results)
            missed = len(results) - counts[Outcome.KILLED]
            summary = f"{len(results)}/{len(mutants)}, {counts[Outcome.KILLED]} killed, {missed} not"
            write_progress(f"[{summary}] {result.mutant.label} {result.outcome.value} in {result.seconds:.1f} s")

    async with asyncio.TaskGroup() as group:
        for copy in copies:
            group.create_task(work(copy))
    return results


async def run(given: argparse.Namespace) -> int:
    """Test the selected mutants, print the table, and return the exit code."""
    task = asyncio.current_task()
    assert task

    def interrupt() -> None:
        if not task.cancelling():  # a second Ctrl-C must not stop the ending of the children
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        mutants = read_mutants()
        chosen = select_mutants(mutants, given.names)
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
            results = await try_mutants(chosen, min(given.jobs, len(chosen)), Path(folder))
    except InvalidMutant as exc:
        write_progress(str(exc), final=True)
        return _REFUSED
    except FailsUnmutated as exc:
        write_progress(f"{exc}\n\nA test fails without any mutant. Mend it first.", final=True)
        return 1
    except asyncio.CancelledError:
        write_progress("Interrupted.", final=True)
        return _INTERRUPTED
    sys.stdout.write(f"{format_table(results)}\n")
    if given.json:
        given.json.write_text(json.dumps(describe_results(results), indent=2) + "\n", encoding="utf-8")
    return 0 if is_success(results, complete=len(chosen) == len(mutants)) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse_arguments())))
