"""A run written to files, straight from the database; neither Temporal nor a worker is needed for it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestration.embedded.configured import read_settings
from orchestration.queries.search import run_to_read
from orchestration.settings import Settings
from orchestration.stores import open_stores
from perdure.errors import RefusedCommand
from perdure.services.analytics.export import ExportFormat
from perdure.services.analytics.export.graph_files import GraphFile, GraphmlFile, NodeLinkFile
from perdure.services.analytics.export.table_files import CsvFile, ParquetFile, TableFile
from perdure.services.analytics.export.tables import CSV_TABLES, EDGES, NODES, PARQUET_TABLES, Table
from perdure.services.search import PassageStore
from perdure.stores.postgres.exports import ExportedRun, PostgresExportStore, Rows
from perdure.stores.postgres.search import PostgresPassageStore

Progress = Callable[[str, int, int], None]
"""Is told the table, how many of its rows are written, and how many there are."""


@dataclass(frozen=True)
class Exporting:
    store: PostgresExportStore
    passages: PassageStore

    async def run(self, workflow_id: str | None) -> str:
        """As `run_to_read`."""
        return await run_to_read(self.passages, workflow_id)

    async def write(
        self, run: str, form: ExportFormat, path: Path, progress: Progress, kinds: Sequence[str] = ()
    ) -> dict[str, int]:
        """Write to a new file, or into an existing empty folder; returns how many rows each table has.

        All of it shows the run at one moment. At most a block of rows is held at once, of Parquet a row group.

        Raises:
            RefusedCommand: the run has no graph yet or no entities of a kind, or the files cannot be written.
            DependencyUnavailable: the database cannot be used now.
        """
        async with self.store.snapshot(run, kinds) as found:
            present = await found.kinds() if kinds else []
            if absent := [kind for kind in kinds if kind not in present]:
                listed = ", ".join(present) or "none at all"
                raise RefusedCommand(
                    f"The run '{run}' has no entities of the kind {absent[0]!r}; its kinds are: {listed}."
                )
            if not form.is_graph:
                return await _write_tables(found, form, path, progress)
            if not await found.has_graph():
                raise RefusedCommand(f"The run '{run}' has no graph yet: it gets one when all its documents are read.")
            return await _write_graph(found, form, path, progress)


async def _write_tables(found: ExportedRun, form: ExportFormat, folder: Path, progress: Progress) -> dict[str, int]:
    parquet = form is ExportFormat.PARQUET
    written = {}
    for table in PARQUET_TABLES if parquet else CSV_TABLES:
        path = folder / f"{table.name}.{form}"
        with _writing():
            file: TableFile = ParquetFile(path, table) if parquet else CsvFile(path, table)
        try:
            written[table.name] = await _pass_on(found, table, progress, _filling(file, table))
        finally:
            with _writing():
                file.close()
    return written


def _filling(file: TableFile, table: Table) -> Callable[[Rows], None]:
    return lambda rows: file.write(table.batch(rows))


async def _write_graph(found: ExportedRun, form: ExportFormat, path: Path, progress: Progress) -> dict[str, int]:
    with _writing():
        stream = path.open("w", encoding="utf-8", newline="")
    try:
        file: GraphFile = GraphmlFile(stream) if form is ExportFormat.GRAPHML else NodeLinkFile(stream)
        with _writing():
            file.begin()
        nodes = await _pass_on(found, NODES, progress, file.add_nodes)
        edges = await _pass_on(found, EDGES, progress, file.add_edges)
        with _writing():
            file.end()
    finally:
        with _writing():
            stream.close()
    return {"nodes": nodes, "edges": edges}


async def _pass_on(found: ExportedRun, table: Table, progress: Progress, write: Callable[[Rows], None]) -> int:
    done, total = 0, await found.count(table)
    progress(table.name, done, total)
    async for rows in found.blocks(table):
        with _writing():
            write(rows)
        done += len(rows)
        progress(table.name, done, total)
    return done


@contextmanager
def _writing() -> Iterator[None]:
    """What the disk says is not what the database says."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise RefusedCommand(f"The export cannot be written: {why}.") from error


@asynccontextmanager
async def open_exporting(settings: Settings | None = None) -> AsyncIterator[Exporting]:
    """Read the embedded or configured database.

    Raises:
        RefusedCommand: no database is configured, and the embedded one does not run.
    """
    stores = open_stores(settings or read_settings())
    try:
        yield Exporting(PostgresExportStore(stores.pool), PostgresPassageStore(stores.pool))
    finally:
        await stores.close()
