"""The commands whose answers about a run are recorded, and compared with the answers of later releases."""

from tests.upgrade.release import FINISHED

SEARCHED = "storm damage"


def reading_commands(workflow_id: str) -> dict[str, tuple[str, ...]]:
    """Return the arguments of each recorded command about a run, by a name for it."""
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
