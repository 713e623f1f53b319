"""`verify` and `rebuild-mirror`: find every difference, and repair the checkpoint stores."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from commands.chosen_run import named_or_latest, run_command
from commands.options import AsJson, RunToRead, WorkflowId
from commands.output import answers, print_json, say, words
from orchestration.audit import Verification, rebuild_mirror
from orchestration.audit import verify as verify_run
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main

app = typer.Typer()


@app.command()
def verify(*, workflow_id: RunToRead = None, as_json: AsJson = False) -> None:
    """Compare a run's history, checkpoint stores, documents and outputs with each other.

    The command also works on a running run. It prints each difference as a sentence. Exit codes: 0 nothing differs,
    1 something differs, 2 the check could not be made.
    """

    async def main() -> int:
        async with PipelineOrchestrator(own_worker=False) as reader:
            run = await named_or_latest(reader, workflow_id)
            with _steps() as step:
                verification = await verify_run(reader.client, reader.stores, run, step)
        for note in verification.notes:
            say(f"Note: {note}")
        if as_json:
            print_json(verification.as_json())
        else:
            _print(verification)
        return 0 if verification.ok else 1

    run_command(main)


@app.command("rebuild-mirror")
def rebuild(*, workflow_id: WorkflowId, as_json: AsJson = False) -> None:
    """Repair a run's checkpoints in every checkpoint store, from the run's history.

    If Temporal has forgotten the run, the repair takes the copies that the digests confirm. The command repairs only
    checkpoints. To make missing documents and outputs again, resume the run.
    """

    async def main() -> None:
        checked_workflow_id(workflow_id)
        async with PipelineOrchestrator(own_worker=False) as reader:
            with _steps() as step:
                rebuilt = await rebuild_mirror(reader.client, reader.stores, workflow_id, step)
        if as_json:
            print_json(rebuilt.as_json())
            return
        for repair in rebuilt.repairs:
            answers.print(repair.sentence, markup=False, soft_wrap=True)
        if rebuilt.changed:
            say("Documents and outputs were not changed. To make missing documents or outputs again, resume the run.")

    run_main(main)


def _print(verification: Verification) -> None:
    for difference in verification.differences:
        answers.print(difference.sentence, markup=False, soft_wrap=True)
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in verification.counts.items())
    number = len(verification.differences)
    verdict = "Nothing differs" if verification.ok else f"{number} difference{'' if number == 1 else 's'}"
    say(f"{verdict}. Checked: {counts}.")


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current step in a terminal.

    An audit of a large run takes minutes.
    """
    if not words.is_terminal:
        yield lambda _: None
        return
    with words.status("beginning") as status:
        yield status.update
