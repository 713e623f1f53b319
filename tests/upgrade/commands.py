"""The commands whose answers are recorded and compared with those of later releases."""

from tests.upgrade.release import FINISHED

SEARCHED = "storm damage"


def reading_commands(workflow_id: str) -> dict[str, tuple[str, ...]]:
    """Return the recorded commands about a run: a name to the arguments of the command."""
    of_run = ("--workflow-id", workflow_id)
    every_run: dict[str, tuple[str, ...]] = {"status": ("status", *of_run), "verify": ("verify", *of_run)}
    if workflow_id != FINISHED:
        return every_run
    return {
        **every_run,
        "checkpoints": ("checkpoints", *of_run),
        "failures": ("failures", *of_run),
        "entities": ("entities", *of_run),
        "search": ("search", SEARCHED, *of_run),
    }
