"""`fork` and `diff`: start a run from any checkpoint, and compare the results of two runs."""

from typing import Annotated

import typer

from commands.chosen_run import run_command
from commands.options import AsJson, Watch
from commands.output import print_json, print_line, say, say_when
from commands.processing import carry_out
from commands.servers import ensure_servers, prepared_settings
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.workflow_ids import checked_workflow_id
from perdure.errors import UnknownWorkflow
from perdure.stores.postgres.differences import Difference, KindOfDifferences, compare_runs

SHOWN_OF_A_KIND = 20
"""The most differences of each kind of output that `diff` prints."""

app = typer.Typer()


@app.command()
def fork(
    *,
    checkpoint_id: Annotated[
        str,
        typer.Option(
            "--checkpoint-id", metavar="C", help="Start from this checkpoint; `checkpoints` lists a run's checkpoints."
        ),
    ],
    workflow_id: Annotated[
        str | None,
        typer.Option(
            "--workflow-id", "-w", metavar="NEW", help="Workflow id of the new run; by default a generated one."
        ),
    ] = None,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Start a new run from any checkpoint of another run, with the outputs of that checkpoint.

    Documents that were finished at the checkpoint keep their results; all others are processed. The other run does not
    change. The same command with the same new workflow id continues an interrupted fork.
    """
    run_command(lambda: _fork(checkpoint_id, workflow_id, watch=watch, as_json=as_json))


@app.command()
def diff(
    *,
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="Workflow id of a run.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Workflow id of another run.")],
    as_json: AsJson = False,
) -> None:
    """Compare everything that two runs produced; exit code 0 if all is identical, 1 if not.

    Documents are matched by their URIs. Times and numbers of attempts are not compared.
    """
    run_command(lambda: _diff(run_a, run_b, as_json=as_json))


async def _fork(checkpoint_id: str, workflow_id: str | None, *, watch: bool, as_json: bool) -> int:
    if workflow_id is not None:
        checked_workflow_id(workflow_id)
    await ensure_servers()
    async with PipelineOrchestrator(await prepared_settings()) as orchestrator:
        forked = await orchestrator.fork(checkpoint_id, workflow_id, say=say_when)
        report = await orchestrator.status(forked.workflow_id)
        return await carry_out(orchestrator, report, watch=watch, as_json=as_json)


async def _diff(run_a: str, run_b: str, *, as_json: bool) -> int:
    for workflow_id in (run_a, run_b):
        checked_workflow_id(workflow_id)
    async with PipelineOrchestrator(own_worker=False) as reader:
        for workflow_id in (run_a, run_b):
            report = await reader.status(workflow_id)
            if await reader.stores.manifest.totals(workflow_id) is None:
                raise UnknownWorkflow(f"The database has nothing of the run '{workflow_id}' to compare.")
            if report.running:
                say(f"Note: the run '{workflow_id}' is still in progress.")
        kinds = await compare_runs(reader.stores.pool, run_a, run_b, SHOWN_OF_A_KIND)
    if as_json:
        print_json({"identical": not kinds, "differences": _as_json(kinds, run_a, run_b)})
    else:
        _print(kinds, run_a, run_b)
    return 1 if kinds else 0


def _as_json(kinds: list[KindOfDifferences], run_a: str, run_b: str) -> list[dict[str, str]]:
    shown = [
        {"kind": difference.kind, "subject": difference.subject, "sentence": _describe(difference, run_a, run_b)}
        for kind in kinds
        for difference in kind.first
    ]
    more = [
        {"kind": kind.kind, "subject": "", "sentence": f"And {_not_shown(kind)} more of this kind."}
        for kind in kinds
        if _not_shown(kind)
    ]
    return shown + more


def _print(kinds: list[KindOfDifferences], run_a: str, run_b: str) -> None:
    if not kinds:
        print_line(f"'{run_a}' and '{run_b}' produced the same.")
    for kind in kinds:
        for difference in kind.first:
            print_line(_describe(difference, run_a, run_b))
        if _not_shown(kind):
            print_line(f"And {_not_shown(kind)} more differences in {kind.kind}.")


def _not_shown(kind: KindOfDifferences) -> int:
    return kind.count - len(kind.first)


def _describe(difference: Difference, run_a: str, run_b: str) -> str:
    if not difference.in_other:
        return f"{difference.kind}: '{difference.subject}' is in '{run_a}' and not in '{run_b}'."
    if not difference.in_one:
        return f"{difference.kind}: '{difference.subject}' is in '{run_b}' and not in '{run_a}'."
    unequal = difference.in_one != difference.in_other
    rows = f" ({difference.in_one} rows and {difference.in_other})" if unequal else ""
    return f"{difference.kind}: '{difference.subject}' differs between '{run_a}' and '{run_b}'{rows}."
