"""The proof that `demo` prints at its end, from the rows of both runs."""

from commands.output import answers, print_line, print_table, readable
from orchestration.client.orchestrator import PipelineOrchestrator
from perdure.stores.postgres.commits import Commit
from perdure.stores.postgres.comparison import read_fingerprints

TIME = "%H:%M:%S.%f"
_GOOD_ENDS = ("completed", "completed_with_failures")


async def print_proof(
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    undisturbed: str,
    *,
    before: list[Commit],
    after: list[Commit],
) -> int:
    """Print the timeline, the outputs and the checks; returns 0 if every check holds, 1 if not.

    Args:
        orchestrator: an open orchestrator.
        workflow_id: the run whose worker was killed.
        undisturbed: the other run over the same documents.
        before: the documents of the first run at the kill.
        after: the documents of the first run at its end.
    """
    _print_timeline(before, after)
    pool = orchestrator.stores.pool
    killed_prints = await read_fingerprints(pool, workflow_id)
    other_prints = await read_fingerprints(pool, undisturbed)
    different = [kind for kind in killed_prints if killed_prints[kind] != other_prints[kind]]
    sequences = [checkpoint.sequence for checkpoint in await orchestrator.list_checkpoints(workflow_id)]
    end = (await orchestrator.status(workflow_id)).workflow_status
    other_end = (await orchestrator.status(undisturbed)).workflow_status
    checks = [
        *_check_documents(before, after),
        (
            f"The {len(sequences)} checkpoints have no gap",
            sequences == list(range(1, len(sequences) + 1)) and bool(sequences),
        ),
        (f"Both runs ended alike: {readable(end)}", end == other_end and end in _GOOD_ENDS),
        (
            f"Outputs differ in: {', '.join(different)}"
            if different
            else f"Outputs are identical in all {len(killed_prints)} kinds",
            not different,
        ),
    ]
    answers.print("\n[bold]Outputs[/]")
    print_table(
        ("kind", "killed", "undisturbed", ""),
        [
            (kind, killed_prints[kind][:12], other_prints[kind][:12], "DIFFERENT" if kind in different else "same")
            for kind in killed_prints
        ],
    )
    answers.print("\n[bold]Proof[/]")
    for sentence, holds in checks:
        print_line(f"  {'✓' if holds else '✗'} {sentence}")
    return 0 if all(holds for _, holds in checks) else 1


def _check_documents(before: list[Commit], after: list[Commit]) -> list[tuple[str, bool]]:
    committed = [document for document in before if document.committed_at]
    in_hand = [document for document in before if document.in_flight]
    return [
        (
            f"Every one of {len(after)} documents has one result",
            all(_has_one_result(document) for document in after),
        ),
        (
            f"The {len(committed)} documents committed before the kill were not processed again",
            bool(committed) and all(after[document.position] == document for document in committed),
        ),
        (
            f"A later attempt processed again the {len(in_hand)} documents in process at the kill",
            bool(in_hand) and all(_lease(after[document.position]) > _lease(document) for document in in_hand),
        ),
    ]


def _print_timeline(before: list[Commit], after: list[Commit]) -> None:
    in_hand = {document.position for document in before if document.in_flight}
    committed_before = {document.position for document in before if document.committed_at}
    ordered = sorted(after, key=lambda document: (document.committed_at is None, document.committed_at))
    answers.print("\n[bold]Timeline[/] (UTC, when each document was committed)")
    rows: list[tuple[object, ...]] = []
    for document in ordered:
        if document.position not in committed_before and len(rows) == len(committed_before):
            rows.append(("", "──── the worker is killed ────", "", ""))
        rows.append(
            (
                f"{document.committed_at:{TIME}}"[:-3] if document.committed_at else "never",
                document.name,
                document.attempt,
                "in process at the kill" if document.position in in_hand else "",
            )
        )
    print_table(("committed", "document", "attempt", ""), rows, right=("attempt",))


def _has_one_result(document: Commit) -> bool:
    if document.status == "processed":
        return document.committed_at is not None and document.results == 1
    return document.status == "quarantined" and document.results == 0


def _lease(document: Commit) -> tuple[int, int, int]:
    return document.epoch, document.dispatch, document.attempt
