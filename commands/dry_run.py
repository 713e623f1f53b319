"""`run --dry-run`: print what a run would do, and start nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commands.output import print_json, print_line, say
from commands.run_state import describe_seconds
from orchestration.embedded.configured import read_database_url
from orchestration.queries.look_ahead import LookAhead, look_ahead
from perdure.errors import EmbeddedServersNotRunning
from perdure.stores.postgres.connection import PostgresPool

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000


async def print_dry_run(sources: list[str], workflow_id: str | None, *, as_json: bool) -> int:
    """Print what a run over the sources would find; returns the exit code 0.

    Raises:
        DependencyUnavailable: a source or the database cannot be reached.
    """
    async with _open_database(workflow_id) as pool:
        ahead = await look_ahead(pool, sources, workflow_id)
    if as_json:
        print_json(
            {
                "workflow_id": workflow_id,
                "new": ahead.new,
                "changed": ahead.changed,
                "outdated": ahead.outdated,
                "unfinished": ahead.unfinished,
                "unchanged": ahead.unchanged,
                "gone": ahead.gone,
                "to_process": ahead.to_process,
                "bytes": ahead.bytes,
                "estimated_seconds": ahead.estimated_seconds,
            }
        )
    else:
        _print(ahead)
    return 0


@asynccontextmanager
async def _open_database(workflow_id: str | None) -> AsyncIterator[PostgresPool | None]:
    try:
        pool = PostgresPool(read_database_url())
    except EmbeddedServersNotRunning:
        if workflow_id is not None:
            say("The embedded Postgres is not running, so earlier runs are unknown and every document counts as new.")
        yield None
        return
    try:
        yield pool
    finally:
        await pool.close()


def _print(ahead: LookAhead) -> None:
    known = {
        "new": ahead.new,
        "changed": ahead.changed,
        "processed by another version before": ahead.outdated,
        "not finished before": ahead.unfinished,
        "unchanged": ahead.unchanged,
        "gone from their source": ahead.gone,
    }
    for name, count in known.items():
        if count or name in ("new", "changed", "unchanged", "gone from their source"):
            print_line(f"{count:>9,} {name}")
    if ahead.estimated_from:
        basis = f"at the pace of the run '{ahead.estimated_from}'"
    else:
        basis = (
            "at the measured pace of office documents on two cores, because no run here has processed enough documents"
        )
    print_line(f"To process: {ahead.to_process:,} documents, {describe_bytes(ahead.bytes)}")
    if ahead.to_process:
        print_line(f"Estimate:   {describe_seconds(ahead.estimated_seconds)}, {basis}")
    say("Nothing was started and nothing was changed.")


def describe_bytes(count: int) -> str:
    """Return a number of bytes in the decimal unit that suits it, such as 1.2 MB."""
    size = float(count)
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} bytes"
