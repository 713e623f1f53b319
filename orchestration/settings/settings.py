"""The settings of one program: everything that the environment says, as one frozen object."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from orchestration.settings.temporal import TemporalSettings
from orchestration.settings.variables import (
    DEFAULT_TASK_QUEUE,
    data_dir_from,
    limit_variable,
    read_limits,
    read_ocr,
    read_variables,
)
from perdure.documents.limits import Limits

if TYPE_CHECKING:
    from perdure.documents.extraction.ocr import Ocr


@dataclass(frozen=True)
class Settings:
    """Where everything is, and how much of the machine may be used."""

    data_dir: Path
    """Absolute; holds embedded servers, checkpoint files, logs and worker slots."""
    database_url: str = field(repr=False)
    temporal: TemporalSettings
    task_queue: str = DEFAULT_TASK_QUEUE
    checkpoint_dir: Path | None = None
    """Where checkpoint files are written; None to write none."""
    checkpoint_url: str | None = None
    """Bucket or folder where checkpoint objects are written; None to write none."""
    pool_workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    limits: Limits = field(default_factory=Limits)
    external_services: Mapping[str, str] = field(default_factory=dict)
    """Name to address; each service is asked for its health at every checkpoint."""
    ocr: "Ocr | None" = None
    """None for no text recognition."""
    embedded_database: bool = False
    """Whether `database_url` is that of the data folder's own server."""

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        database_url: str,
        temporal: TemporalSettings,
    ) -> Self:
        """Return the settings that the variables name, with the servers that the caller has looked up.

        `orchestration.embedded.configured.read_settings` looks up the servers as well.

        Args:
            environment: variables; an empty one counts as unset.
            database_url: of the configured database, or of the data folder's own.
            temporal: the configured Temporal server, or the data folder's own.

        Raises:
            InvalidConfiguration: a value cannot be used; the message names its variable.
        """
        variables = read_variables(environment)
        data_dir = data_dir_from(environment)
        return cls(
            data_dir=data_dir,
            database_url=database_url,
            temporal=temporal,
            task_queue=variables.task_queue,
            checkpoint_dir=data_dir / "checkpoints" if variables.file_checkpoints == "1" else None,
            checkpoint_url=variables.checkpoint_url,
            pool_workers=variables.pool_workers,
            limits=read_limits(environment),
            external_services=variables.external_services,
            ocr=read_ocr(environment),
            embedded_database=variables.database_url is None,
        )

    def environment(self) -> dict[str, str]:
        """Return variables that give a process started with them, over this process's own, the same settings.

        The addresses of embedded servers are left out, because the servers may have moved when the process looks them
        up. The process inherits the variables of TLS.
        """
        variables = {
            "PERDURE_DATA_DIR": str(self.data_dir),
            "PERDURE_TASK_QUEUE": self.task_queue,
            "PERDURE_FILE_CHECKPOINTS": "1" if self.checkpoint_dir else "0",
            "PERDURE_CHECKPOINT_URL": self.checkpoint_url or "",
            "PERDURE_POOL_WORKERS": str(self.pool_workers),
            "PERDURE_OCR": self.ocr.languages if self.ocr else "",
            "PERDURE_SERVICES": json.dumps(dict(self.external_services)) if self.external_services else "",
            "TEMPORAL_NAMESPACE": self.temporal.namespace,
            **{limit_variable(limit.name): str(getattr(self.limits, limit.name)) for limit in fields(self.limits)},
        }
        if not self.embedded_database:
            variables["DATABASE_URL"] = self.database_url
        if not self.temporal.embedded:
            variables["TEMPORAL_ADDRESS"] = self.temporal.address
            variables |= {"TEMPORAL_API_KEY": self.temporal.api_key} if self.temporal.api_key else {}
        return variables
