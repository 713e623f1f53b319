"""The settings of one program, from the environment, as one frozen object."""

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
    """The addresses, the folders, and the limits on the use of the machine."""

    data_dir: Path
    """Absolute path of the data folder: embedded servers, checkpoint files, logs and worker slots."""
    database_url: str = field(repr=False)
    temporal: TemporalSettings
    task_queue: str = DEFAULT_TASK_QUEUE
    checkpoint_dir: Path | None = None
    """Folder of the checkpoint files; None to write no files."""
    checkpoint_url: str | None = None
    """URL of the bucket or folder of the checkpoint objects; None to write no objects."""
    pool_workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    limits: Limits = field(default_factory=Limits)
    external_services: Mapping[str, str] = field(default_factory=dict)
    """Name to address of each service whose health the checkpoints record."""
    ocr: "Ocr | None" = None
    """The text recognition; None if it is off."""
    embedded_database: bool = False
    """Whether `database_url` is the address of the embedded Postgres."""

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        database_url: str,
        temporal: TemporalSettings,
    ) -> Self:
        """Return the settings from environment variables and from the given servers.

        `orchestration.embedded.configured.read_settings` looks up the servers and calls this method.

        Args:
            environment: the variables; an empty variable counts as unset.
            database_url: address of the configured or embedded database.
            temporal: the configured or embedded Temporal server.

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
        """Return variables that give another process the same settings.

        A process that is started with these variables, in addition to those of this process, has the same settings. The
        addresses of embedded servers are left out, because their ports may have changed when the process reads the
        settings. The process inherits the variables for TLS.
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
