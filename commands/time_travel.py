"""`fork` and `diff`: go on from any checkpoint as a run of its own, and compare what two runs made."""

from typing import Annotated

import typer

from commands.options import AsJson, Watch
from commands.output import answers, print_json, say, say_when
from commands.processing import carry_out
from commands.servers import ensure_servers, prepared_settings
from orchestration.client.fork import fork as start_fork
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_reader import RunReader
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from perdure.errors import UnknownWorkflow
from perdure.stores.postgres.differences import Difference, KindOfDifferences, differences

SHOWN_OF_A_KIND = 20

app = typer.Typer()


@app.command()
def fork(
    *,
    checkpoint_id: Annotated[
        str, typer.Option("--checkpoint-id", metavar="C", help="From where; `checkpoints` lists a run's.")
    ],
    workflow_id: Annotated[
        str | None, typer.Option("--workflow-id", "-w", metavar="NEW", help="Of the new run, generated if not given.")
    ] = None,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Go on from any checkpoint of any run, under a new workflow id, with outputs as of that checkpoint.

    Documents that were finished by then are kept with their results, all others are processed. The run that the
    checkpoint belongs to is not touched. Asked again under the same id, an interrupted fork goes on.
    """
    run_main(lambda: _fork(checkpoint_id, workflow_id, watch=watch, as_json=as_json))


@app.command()
def diff(
    *,
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="Workflow id of a run.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Workflow id of another.")],
    as_json: AsJson = False,
) -> None:
    """Compare everything that two runs produced; exit code 0 if it is identical, 1 if not.

    Documents are named by their URIs; neither times nor how often something was tried make a difference.
    """
    run_main(lambda: _diff(run_a, run_b, as_json=as_json))


async def _fork(checkpoint_id: str, workflow_id: str | None, *, watch: bool, as_json: bool) -> int:
    if workflow_id is not None:
        checked_workflow_id(workflow_id)
    await ensure_servers()
    async with PipelineOrchestrator(await prepared_settings()) as orchestrator:
        forked = await start_fork(orchestrator, checkpoint_id, workflow_id, say=say_when)
        report = await orchestrator.status(forked.workflow_id)
        return await carry_out(orchestrator, report, watch=watch, as_json=as_json)


async def _diff(run_a: str, run_b: str, *, as_json: bool) -> int:
    for workflow_id in (run_a, run_b):
        checked_workflow_id(workflow_id)
    async with RunReader() as reader:
        for workflow_id in (run_a, run_b):
            report = await reader.status(workflow_id)
            if await reader.stores.manifest.totals(workflow_id) is None:
                raise UnknownWorkflow(f"The database has nothing of the run '{workflow_id}' to compare.")
            if report.running:
                say(f"Note: the run '{workflow_id}' is still going on.")
        found = await differences(reader.stores.pool, run_a, run_b, SHOWN_OF_A_KIND)
    if as_json:
        print_json(
            {
                "identical": not found,
                "differences": [
                    {"kind": one.kind, "subject": one.subject, "sentence": _sentence(one, run_a, run_b)}
                    for kind in found
                    for one in kind.first
                ]
                + [
                    {"kind": kind.kind, "subject": "", "sentence": f"And {_left(kind)} more of this kind."}
                    for kind in found
                    if _left(kind)
                ],
            }
        )
    else:
        _print(found, run_a, run_b)
    return 1 if found else 0


def _print(found: list[KindOfDifferences], run_a: str, run_b: str) -> None:
    if not found:
        answers.print(f"'{run_a}' and '{run_b}' produced the same.", markup=False, soft_wrap=True)
    for kind in found:
        for one in kind.first:
            answers.print(_sentence(one, run_a, run_b), markup=False, soft_wrap=True)
        if _left(kind):
            answers.print(f"And {_left(kind)} more differences in {kind.kind}.", markup=False, soft_wrap=True)


def _left(kind: KindOfDifferences) -> int:
    return kind.count - len(kind.first)


def _sentence(one: Difference, run_a: str, run_b: str) -> str:
    if not one.in_other:
        return f"{one.kind}: '{one.subject}' is in '{run_a}' and not in '{run_b}'."
    if not one.in_one:
        return f"{one.kind}: '{one.subject}' is in '{run_b}' and not in '{run_a}'."
    rows = f" ({one.in_one} rows and {one.in_other})" if one.in_one != one.in_other else ""
    return f"{one.kind}: '{one.subject}' differs between '{run_a}' and '{run_b}'{rows}."
