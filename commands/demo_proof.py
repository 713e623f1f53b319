"""The proof at the end of `demo`, read from the database alone."""

from commands.output import answers, print_table, readable
from orchestration.client.orchestrator import PipelineOrchestrator
from perdure.stores.postgres.commits import Commit
from perdure.stores.postgres.comparison import fingerprints

TIME = "%H:%M:%S.%f"


async def print_proof(
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    undisturbed: str,
    *,
    before: list[Commit],
    after: list[Commit],
) -> int:
    """Print the timeline and what was checked; returns 0 if everything holds, 1 if not.

    Args:
        orchestrator: open.
        workflow_id: the run whose worker was killed.
        undisturbed: the run over the same documents that was left alone.
        before: the documents of the first as they stood at the kill.
        after: the same at its end.
    """
    _print_timeline(before, after)
    pool = orchestrator.stores.pool
    one, other = await fingerprints(pool, workflow_id), await fingerprints(pool, undisturbed)
    different = [kind for kind in one if one[kind] != other[kind]]
    but = f", but not: {', '.join(different)}" if different else ""
    sequences = [checkpoint.sequence for checkpoint in await orchestrator.list_checkpoints(workflow_id)]
    statuses = {name: (await orchestrator.status(name)).workflow_status for name in (workflow_id, undisturbed)}
    committed = [document for document in before if document.committed_at]
    in_hand = [document for document in before if document.in_flight]
    checks = [
        (
            f"Every one of {len(after)} documents has one result",
            all(_has_one_result(document) for document in after),
        ),
        (
            f"The {len(committed)} committed before the kill were not touched again",
            bool(committed) and all(after[document.position] == document for document in committed),
        ),
        (
            f"The {len(in_hand)} in hand at the kill were done again, by a later attempt",
            bool(in_hand) and all(_lease(after[document.position]) > _lease(document) for document in in_hand),
        ),
        (
            f"The {len(sequences)} checkpoints have no gap",
            sequences == list(range(1, len(sequences) + 1)) and bool(sequences),
        ),
        (
            f"Both runs ended alike: {readable(statuses[workflow_id])}",
            len(set(statuses.values())) == 1 and statuses[workflow_id] in ("completed", "completed_with_failures"),
        ),
        (
            f"Outputs are identical in all {len(one)} kinds{but}",
            not different,
        ),
    ]
    answers.print("\n[bold]Outputs[/]")
    print_table(
        ("kind", "killed", "undisturbed", ""),
        [(kind, one[kind][:12], other[kind][:12], "DIFFERENT" if kind in different else "same") for kind in one],
    )
    answers.print("\n[bold]Proof[/]")
    for sentence, holds in checks:
        answers.print(f"  {'✓' if holds else '✗'} {sentence}", markup=False, soft_wrap=True)
    return 0 if all(holds for _, holds in checks) else 1


def _print_timeline(before: list[Commit], after: list[Commit]) -> None:
    in_hand = {document.position for document in before if document.in_flight}
    killed_before = {document.position for document in before if document.committed_at}
    ordered = sorted(after, key=lambda document: (document.committed_at is None, document.committed_at))
    answers.print("\n[bold]Timeline[/] (UTC, when each document was committed)")
    rows: list[tuple[object, ...]] = []
    for document in ordered:
        if document.position not in killed_before and len(rows) == len(killed_before):
            rows.append(("", "──── the worker is killed ────", "", ""))
        rows.append(
            (
                f"{document.committed_at:{TIME}}"[:-3] if document.committed_at else "never",
                document.name,
                document.attempt,
                "was in hand at the kill" if document.position in in_hand else "",
            )
        )
    print_table(("committed", "document", "attempt", ""), rows, right=("attempt",))


def _has_one_result(document: Commit) -> bool:
    if document.status == "processed":
        return document.committed_at is not None and document.results == 1
    return document.status == "quarantined" and document.results == 0


def _lease(document: Commit) -> tuple[int, int, int]:
    return document.epoch, document.dispatch, document.attempt
