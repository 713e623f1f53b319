"""A run's results as files for other tools: a graph (GraphML, JSON) or tables (Parquet, CSV).

This room may import `perdure.documents` and below. Start reading in `tables.py`, then `graph_files.py`.
"""

from enum import StrEnum


class ExportFormat(StrEnum):
    """`graphml` and `json` give one file, the graph; `parquet` and `csv` give a folder with one file a table."""

    GRAPHML = "graphml"
    JSON = "json"
    PARQUET = "parquet"
    CSV = "csv"

    @property
    def is_graph(self) -> bool:
        """Return whether the format holds the graph."""
        return self in (ExportFormat.GRAPHML, ExportFormat.JSON)
