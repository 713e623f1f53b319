"""`verify` and `rebuild-mirror`: find every difference, and make the mirror whole again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from commands.chosen_run import named_or_latest, run_command
from commands.options import AsJson, RunToRead, WorkflowId
from commands.output import answers, print_json, say, words
from orchestration.audit import Verification, rebuild_mirror
from orchestration.audit import verify as verify_run
from orchestration.client.run_reader import RunReader
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main

app = typer.Typer()


@app.command()
def verify(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """Compare a run's history, mirror, files, documents and outputs; exit code 0 only if nothing differs.

    Reads everything, also of a run that is going on, and says each difference as a sentence. Exit code 1: something
    differs; 2: it could not be checked.
    """

    async def main() -> int:
        async with RunReader() as reader:
            run = await named_or_latest(reader, workflow_id)
            with _steps() as step:
                found = await verify_run(reader.client, reader.stores, run, step)
        for note in found.notes:
            say(f"Note: {note}")
        if as_json:
            print_json(found.as_json())
        else:
            _print(found)
        return 0 if found.ok else 1

    run_command(main)


@app.command("rebuild-mirror")
def rebuild(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Make a run's checkpoints in Postgres and in the files whole again, from its history.

    Where Temporal has forgotten the run, from the copy that the digests vouch for. Only checkpoints are repaired:
    documents and outputs that are missing are made again by resuming the run.
    """

    async def main() -> None:
        checked_workflow_id(workflow_id)
        async with RunReader() as reader:
            with _steps() as step:
                rebuilt = await rebuild_mirror(reader.client, reader.stores, workflow_id, step)
        if as_json:
            print_json(rebuilt.as_json())
            return
        for repair in rebuilt.repairs:
            answers.print(repair.sentence, markup=False, soft_wrap=True)
        if rebuilt.changed:
            say("Documents and outputs were left alone: what is missing there is made again by resume_workflow.py.")

    run_main(main)


def _print(found: Verification) -> None:
    for difference in found.differences:
        answers.print(difference.sentence, markup=False, soft_wrap=True)
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in found.counts.items())
    number = len(found.differences)
    verdict = "Nothing differs" if found.ok else f"{number} difference{'' if number == 1 else 's'}"
    say(f"{verdict}. Checked: {counts}.")


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """What is being done, on a terminal; a long audit takes minutes."""
    if not words.is_terminal:
        yield lambda _: None
        return
    with words.status("beginning") as status:
        yield status.update
