"""Run `make chaos`: inject seeded faults into runs, and check the promises after each run.

Exit codes: 0 every promise held in every run; 1 a promise was broken (the output names it, and the seed); 2 wrong
arguments; 130 Ctrl-C.
"""

import argparse
import asyncio
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos.harness.disk import small_disk
from tests.chaos.harness.report import format_json, format_table
from tests.chaos.harness.schedule import Fault, plan_faults
from tests.chaos.harness.trial import Trial, Verdict
from tests.chaos.harness.world import World
from tests.chaos.papers import write_documents

DISK_MB = 3000
FAULTS_A_RUN = 25
FOLDER_DOCUMENTS = 30
FOLDER_PREFIX = "perdure-chaos-"


def write_progress(line: str) -> None:
    """Write a line to standard error at once; standard output is only for the table of results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; argparse ends the process with exit code 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="seed of the schedule")
    parser.add_argument("--faults", type=int, default=50, help="number of faults in all runs together")
    parser.add_argument("--a-run", type=int, default=FAULTS_A_RUN, help="number of faults in each run")
    parser.add_argument("--documents", type=Path, help="a folder of documents, added to the generated ones")
    parser.add_argument("--schedule", action="store_true", help="print the schedule, and run nothing")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument("--keep", type=Path, help="copy logs and checkpoint files to this folder if a promise breaks")
    given = parser.parse_args(arguments)
    if given.faults < 1 or given.a_run < 1:
        parser.error("--faults and --a-run must be at least 1.")
    if given.documents and not given.documents.is_dir():
        parser.error(f"--documents: the folder {given.documents} does not exist. Name an existing folder.")
    return given


async def run_trials(given: argparse.Namespace, folder: Path, runs: Sequence[Sequence[Fault]]) -> list[Verdict]:
    """Carry out one trial per list of faults; stop after the first trial that breaks a promise.

    Args:
        given: the parsed command line.
        folder: an empty folder for data and documents.
        runs: the faults of each run.
    """
    verdicts: list[Verdict] = []
    async with World(folder / "data") as world:
        for number, faults in enumerate(runs, start=1):
            write_progress(f"run {number} of {len(runs)}: {len(faults)} faults")
            folders = make_folders(folder / f"documents-{number}", given.documents)
            verdict = await Trial(world, folders, write_progress).run(f"chaos-{number}", given.seed, faults)
            verdicts.append(verdict)
            for sentence in verdict.broken:
                write_progress(f"BROKEN: {sentence}")
            write_progress(
                f"run {number}: {'every promise held' if not verdict.broken else 'failed'}, {verdict.seconds:.0f} s"
            )
            if verdict.broken:
                break
        if given.keep and any(verdict.broken for verdict in verdicts):
            _keep(world, given.keep)
        failed = [worker for worker in world.workers if await asyncio.to_thread(worker.stop) != 0]
        verdicts[-1].broken += [
            f"A supervisor did not end with exit code 0 after SIGTERM: {worker.log.read_text()[-500:]}"
            for worker in failed
        ]
        for worker in [*world.workers, *world.fallen]:
            worker.assert_no_orphans()
    return verdicts


def make_folders(folder: Path, given: Path | None) -> Iterator[Path]:
    """Yield folders of documents without end: `given` first, then generated folders.

    Each generated folder is written when the caller asks for it.
    """
    if given:
        yield given.resolve()
    for number in itertools.count():
        yield write_documents(folder / f"{number:03}", FOLDER_DOCUMENTS)


def _keep(world: World, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*world.data_dir.glob("*.log"), *world.data_dir.glob("logs/*"), *world.data_dir.glob("checkpoints/*")]:
        shutil.copy(file, folder)
    write_progress(f"Logs and checkpoint files were copied to {folder}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a session, print its results, and return the exit code."""
    given = parse_arguments(arguments)
    if given.schedule:
        print(json.dumps([vars(fault) for fault in plan_faults(given.seed, given.faults)], indent=1))
        return 0
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name, small_disk(folder := Path(name), DISK_MB) as small:
        folder.chmod(0o711)  # the embedded Postgres may run as another user, which must reach its data
        without = () if small else ("fill disk",)
        faults = plan_faults(given.seed, given.faults, without=without)
        write_progress(f"seed {given.seed}, {given.faults} faults")
        if without:
            write_progress(
                "The disk is not filled: this user cannot mount a file system. Run as root to include this fault."
            )
        runs = [faults[start : start + given.a_run] for start in range(0, len(faults), given.a_run)]
        verdicts = asyncio.run(run_trials(given, folder, runs))
    print(format_table(verdicts))
    if given.json:
        given.json.write_text(json.dumps(format_json(given.seed, verdicts), indent=1, default=str))
    broken = [sentence for verdict in verdicts for sentence in verdict.broken]
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    if broken:
        print(f'To repeat: make chaos ARGS="--seed {given.seed} --faults {given.faults} --a-run {given.a_run}"')
    return 1 if broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        write_progress("Interrupted. All servers and workers of this session have been stopped.")
        sys.exit(130)
