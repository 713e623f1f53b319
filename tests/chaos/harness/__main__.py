"""Kill, stop, cut and fill everything while runs go on, and see that nothing is lost: `make chaos`.

Exit codes: 0 every law held in every run; 1 one was broken, and is named with the seed; 2 wrong arguments; 130 Ctrl-C.
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
from tests.chaos.harness.report import as_json, table
from tests.chaos.harness.schedule import Fault, schedule
from tests.chaos.harness.trial import Trial, Verdict
from tests.chaos.harness.world import World
from tests.chaos.papers import write_documents

DISK_MB = 3000
FAULTS_A_RUN = 25
FOLDER_DOCUMENTS = 30
PREFIX = "perdure-chaos-"


def tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the schedule")
    parser.add_argument("--faults", type=int, default=50, help="how many in all")
    parser.add_argument("--a-run", type=int, default=FAULTS_A_RUN, help="how many to each run")
    parser.add_argument("--documents", type=Path, help="a folder of documents besides those that are made up")
    parser.add_argument("--schedule", action="store_true", help="print what would happen, and do nothing")
    parser.add_argument("--json", type=Path, help="write everything that was found there")
    parser.add_argument("--keep", type=Path, help="copy logs and checkpoint files there if a law was broken")
    given = parser.parse_args(arguments)
    if given.faults < 1 or given.a_run < 1:
        parser.error("--faults and --a-run must be at least 1.")
    if given.documents and not given.documents.is_dir():
        parser.error(f"--documents: there is no folder {given.documents}.")
    return given


async def chaos(given: argparse.Namespace, folder: Path, runs: Sequence[Sequence[Fault]]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    async with World(folder / "data") as world:
        for number, faults in enumerate(runs, start=1):
            tell(f"run {number} of {len(runs)}: {len(faults)} faults")
            folders = documents(folder / f"documents-{number}", given.documents)
            verdict = await Trial(world, folders, tell).go(f"chaos-{number}", given.seed, faults)
            verdicts.append(verdict)
            for sentence in verdict.broken:
                tell(f"BROKEN: {sentence}")
            tell(f"run {number}: {'every law held' if not verdict.broken else 'failed'}, {verdict.seconds:.0f} s")
            if verdict.broken:
                break
        if given.keep and any(verdict.broken for verdict in verdicts):
            _keep(world, given.keep)
        left = [worker for worker in world.workers if await asyncio.to_thread(worker.stop) != 0]
        verdicts[-1].broken += [
            f"A supervisor did not stop when asked to: {one.log.read_text()[-500:]}" for one in left
        ]
        for worker in [*world.workers, *world.fallen]:
            worker.assert_no_orphans()
    return verdicts


def documents(folder: Path, given: Path | None) -> Iterator[Path]:
    """Folder after folder of documents, the given one first; each is written when it is asked for."""
    if given:
        yield given.resolve()
    for number in itertools.count():
        yield write_documents(folder / f"{number:03}", FOLDER_DOCUMENTS)


def _keep(world: World, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*world.data_dir.glob("*.log"), *world.data_dir.glob("logs/*"), *world.data_dir.glob("checkpoints/*")]:
        shutil.copy(file, folder)
    tell(f"logs and checkpoint files are in {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(arguments)
    if given.schedule:
        print(json.dumps([vars(fault) for fault in schedule(given.seed, given.faults)], indent=1))
        return 0
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, small_disk(folder := Path(name), DISK_MB) as small:
        folder.chmod(0o711)  # Postgres may run as another user
        without = () if small else ("fill disk",)
        faults = schedule(given.seed, given.faults, without=without)
        tell(f"seed {given.seed}, {given.faults} faults")
        if without:
            tell("The disk is not filled: this user may not mount a file system of limited size.")
        runs = [faults[start : start + given.a_run] for start in range(0, len(faults), given.a_run)]
        verdicts = asyncio.run(chaos(given, folder, runs))
    print(table(verdicts))
    if given.json:
        given.json.write_text(json.dumps(as_json(given.seed, verdicts), indent=1, default=str))
    broken = [sentence for verdict in verdicts for sentence in verdict.broken]
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    if broken:
        print(f'Again: make chaos ARGS="--seed {given.seed} --faults {given.faults} --a-run {given.a_run}"')
    return 1 if broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        tell("Interrupted; all that was started has been stopped.")
        sys.exit(130)
