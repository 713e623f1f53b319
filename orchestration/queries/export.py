"""Write the results of a run to files, in blocks of rows."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from perdure.errors import RefusedCommand
from perdure.services.analytics.export import ExportFormat
from perdure.services.analytics.export.graph_files import GraphFile, GraphmlFile, NodeLinkFile
from perdure.services.analytics.export.table_files import CsvFile, ParquetFile, TableFile
from perdure.services.analytics.export.tables import CSV_TABLES, EDGES, NODES, PARQUET_TABLES, Table
from perdure.stores.postgres.exports import ExportedRun, PostgresExportStore, Rows

RowProgress = Callable[[str, int, int], None]
"""Gets the table's name, the number of its rows that are written, and the number of all its rows."""


async def export_run(
    store: PostgresExportStore,
    run: str,
    form: ExportFormat,
    path: Path,
    progress: RowProgress,
    kinds: Sequence[str] = (),
) -> dict[str, int]:
    """Write a run to a new file, or into an existing empty folder.

    Return the number of rows of each table. All tables show the run at one moment. At most one block of rows is in
    memory, or one row group of Parquet.

    Args:
        store: the open store.
        run: workflow id.
        form: form of the file or files.
        path: path of the new file, or of the folder for a form of several files.
        progress: called after each block of rows.
        kinds: kinds of entities to write; empty writes every kind.

    Raises:
        RefusedCommand: the run has no graph yet or no entities of a kind, or the files cannot be written.
        DependencyUnavailable: the database cannot be reached.
    """
    async with store.snapshot(run, kinds) as exported:
        present = await exported.kinds() if kinds else []
        if absent := [kind for kind in kinds if kind not in present]:
            listed = ", ".join(present) or "none at all"
            raise RefusedCommand(f"The run '{run}' has no entities of the kind {absent[0]!r}; its kinds are: {listed}.")
        if not form.is_graph:
            return await _write_tables(exported, form, path, progress)
        if not await exported.has_graph():
            raise RefusedCommand(f"The run '{run}' has no graph yet: it gets one when all its documents are read.")
        return await _write_graph(exported, form, path, progress)


async def _write_tables(
    exported: ExportedRun, form: ExportFormat, folder: Path, progress: RowProgress
) -> dict[str, int]:
    parquet = form is ExportFormat.PARQUET
    written = {}
    for table in PARQUET_TABLES if parquet else CSV_TABLES:
        path = folder / f"{table.name}.{form}"
        with _translate_disk_errors():
            file: TableFile = ParquetFile(path, table) if parquet else CsvFile(path, table)
        try:
            written[table.name] = await _write_blocks(exported, table, progress, _make_writer(file, table))
        finally:
            with _translate_disk_errors():
                file.close()
    return written


def _make_writer(file: TableFile, table: Table) -> Callable[[Rows], None]:
    return lambda rows: file.write(table.batch(rows))


async def _write_graph(exported: ExportedRun, form: ExportFormat, path: Path, progress: RowProgress) -> dict[str, int]:
    with _translate_disk_errors():
        stream = path.open("w", encoding="utf-8", newline="")
    try:
        file: GraphFile = GraphmlFile(stream) if form is ExportFormat.GRAPHML else NodeLinkFile(stream)
        with _translate_disk_errors():
            file.begin()
        nodes = await _write_blocks(exported, NODES, progress, file.add_nodes)
        edges = await _write_blocks(exported, EDGES, progress, file.add_edges)
        with _translate_disk_errors():
            file.end()
    finally:
        with _translate_disk_errors():
            stream.close()
    return {"nodes": nodes, "edges": edges}


async def _write_blocks(
    exported: ExportedRun, table: Table, progress: RowProgress, write: Callable[[Rows], None]
) -> int:
    done = 0
    total = await exported.count(table)
    progress(table.name, done, total)
    async for rows in exported.blocks(table):
        with _translate_disk_errors():
            write(rows)
        done += len(rows)
        progress(table.name, done, total)
    return done


@contextmanager
def _translate_disk_errors() -> Iterator[None]:
    """Turn an OSError into the refusal of the export."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise RefusedCommand(f"The export cannot be written: {why}.") from error
