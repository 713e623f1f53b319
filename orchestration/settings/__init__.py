"""The settings: read once from the environment, where a program is put together, and passed down from there.

Every variable is described in docs/configuration.md.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from orchestration.embedded.record import running_postgres, running_temporal
from orchestration.settings.temporal import TemporalSettings, configured_temporal
from orchestration.settings.values import checked_limits, checked_ocr, integer, limit_variable, services, switch
from perdure.documents.limits import Limits
from perdure.errors import InvalidConfiguration
from perdure.stores.objects.address import VARIABLE as CHECKPOINT_URL_VARIABLE
from perdure.stores.objects.address import check_url

if TYPE_CHECKING:
    from perdure.documents.extraction.ocr import Ocr

DEFAULT_TASK_QUEUE = "perdure"
MAX_POOL_WORKERS = 256


@dataclass(frozen=True)
class WantedServers:
    """Which servers a data folder has to bring along, because the environment names no others."""

    postgres: bool
    temporal: bool


@dataclass(frozen=True)
class Settings:
    """Where everything is, and how much of the machine may be used."""

    data_dir: Path
    """Absolute; for embedded servers, checkpoint files, logs and worker slots."""
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
    """Name to address, each asked for its health at every checkpoint."""
    ocr: "Ocr | None" = None
    """None unless asked for."""
    embedded_database: bool = False
    """`database_url` is that of the data folder's own server."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings, and where the embedded servers are, if they are needed.

        Raises:
            InvalidConfiguration: a variable's value cannot be used; the message names it.
            EmbeddedServersNotRunning: they are needed, and not running.
        """
        environment = os.environ if environment is None else environment
        data_dir = data_dir_from(environment)
        return cls(
            data_dir=data_dir,
            database_url=database_from(environment),
            temporal=configured_temporal(environment) or _embedded_temporal(data_dir, environment),
            task_queue=environment.get("PERDURE_TASK_QUEUE") or DEFAULT_TASK_QUEUE,
            checkpoint_dir=data_dir / "checkpoints" if switch(environment, "PERDURE_FILE_CHECKPOINTS") else None,
            checkpoint_url=check_url(url) if (url := environment.get(CHECKPOINT_URL_VARIABLE)) else None,
            pool_workers=integer(
                environment, "PERDURE_POOL_WORKERS", default=os.cpu_count() or 1, most=MAX_POOL_WORKERS
            ),
            limits=checked_limits(environment),
            ocr=checked_ocr(environment),
            external_services=services(environment),
            embedded_database=not environment.get("DATABASE_URL"),
        )

    def environment(self) -> dict[str, str]:
        """Variables that, set over this process's own, bring a process started by it to the same settings.

        Embedded servers are left out, for that process to look up: they may have moved by then. TLS settings are
        inherited.
        """
        variables = {
            "PERDURE_DATA_DIR": str(self.data_dir),
            "PERDURE_TASK_QUEUE": self.task_queue,
            "PERDURE_FILE_CHECKPOINTS": "1" if self.checkpoint_dir else "0",
            CHECKPOINT_URL_VARIABLE: self.checkpoint_url or "",
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


def data_dir_from(environment: Mapping[str, str] | None = None) -> Path:
    """The data folder, absolute: `PERDURE_DATA_DIR`, else `data` in the current folder.

    Raises:
        InvalidConfiguration: the path cannot be one.
    """
    value = (os.environ if environment is None else environment).get("PERDURE_DATA_DIR") or "data"
    try:
        return Path(value).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidConfiguration(f"PERDURE_DATA_DIR is '{value}', which is no usable path: {error}.") from error


def wanted_servers(environment: Mapping[str, str] | None = None) -> WantedServers:
    """Which of the embedded servers are needed.

    Raises:
        InvalidConfiguration: Temporal's own settings cannot be read, or OCR was asked for and cannot be done.
    """
    environment = os.environ if environment is None else environment
    checked_ocr(environment)  # before any server is started for a run that is refused
    return WantedServers(
        postgres=not environment.get("DATABASE_URL"), temporal=configured_temporal(environment) is None
    )


def _embedded_temporal(data_dir: Path, environment: Mapping[str, str]) -> TemporalSettings:
    found = running_temporal(data_dir)
    return TemporalSettings(
        address=found.address,
        namespace=environment.get("TEMPORAL_NAMESPACE") or "default",
        web_ui=found.web_ui,
        embedded=True,
    )


def database_from(environment: Mapping[str, str]) -> str:
    """The address of the configured database, else of the data folder's own.

    Raises:
        InvalidConfiguration: it is no address.
        EmbeddedServersNotRunning: none is configured, and the data folder's own does not run.
    """
    found = environment.get("DATABASE_URL") or running_postgres(data_dir_from(environment)).dsn
    _check_database_url(found)
    return found


def _check_database_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("postgres", "postgresql") and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidConfiguration(
            "DATABASE_URL must be an address of the form postgresql://user:password@host:port/database."
        )
