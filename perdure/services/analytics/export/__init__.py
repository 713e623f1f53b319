"""Writes a run's results to files: a graph (GraphML, JSON) or tables (Parquet, CSV).

This room may import `perdure.documents` and below. Start reading in `tables.py`, then `graph_files.py`.
"""

from enum import StrEnum


class ExportFormat(StrEnum):
    """The formats of an export.

    `graphml` and `json` give a file with the graph. `parquet` and `csv` give a folder with a file for each table.
    """

    GRAPHML = "graphml"
    JSON = "json"
    PARQUET = "parquet"
    CSV = "csv"

    @property
    def is_graph(self) -> bool:
        """Return whether the format holds the graph."""
        return self in (ExportFormat.GRAPHML, ExportFormat.JSON)
