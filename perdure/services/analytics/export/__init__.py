"""What a run found, as files that other tools read: a graph (GraphML, JSON) or tables (Parquet, CSV)."""

from enum import StrEnum


class ExportFormat(StrEnum):
    """`graphml` and `json` are one file, the graph; `parquet` and `csv` a folder with one file a table."""

    GRAPHML = "graphml"
    JSON = "json"
    PARQUET = "parquet"
    CSV = "csv"

    @property
    def is_graph(self) -> bool:
        return self in (ExportFormat.GRAPHML, ExportFormat.JSON)
