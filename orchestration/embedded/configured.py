"""The settings of this process, with embedded servers where no other server is configured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.embedded.record import running_postgres, running_temporal
from orchestration.settings.settings import Settings
from orchestration.settings.temporal import TemporalSettings, configured_temporal
from orchestration.settings.variables import data_dir_from, read_ocr, read_variables


@dataclass(frozen=True)
class WantedServers:
    """Which embedded servers a data folder needs, because the environment names no others."""

    postgres: bool
    temporal: bool


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings, with the addresses of the embedded servers that are needed.

    Args:
        environment: variables; those of this process if not given.

    Raises:
        InvalidConfiguration: a value cannot be used; the message names its variable.
        EmbeddedServersNotRunning: an embedded server is needed, and does not run.
    """
    environment = os.environ if environment is None else environment
    database_url = read_database_url(environment)
    temporal = configured_temporal(environment) or _embedded_temporal(environment)
    return Settings.from_environment(environment, database_url=database_url, temporal=temporal)


def read_database_url(environment: Mapping[str, str] | None = None) -> str:
    """Return the address of the configured database, else of the embedded database.

    Args:
        environment: variables; those of this process if not given.

    Raises:
        InvalidConfiguration: the configured value is not the address of a database.
        EmbeddedServersNotRunning: no database is configured, and the embedded Postgres does not run.
    """
    environment = os.environ if environment is None else environment
    configured = {"DATABASE_URL": environment.get("DATABASE_URL", "")}  # this function checks no other variable
    return read_variables(configured).database_url or running_postgres(data_dir_from(environment)).dsn


def wanted_servers(environment: Mapping[str, str]) -> WantedServers:
    """Return which of the embedded servers are needed.

    Raises:
        InvalidConfiguration: a value of Perdure's or Temporal's variables cannot be used.
    """
    read_ocr(environment)  # a wrong value is refused before a server starts
    return WantedServers(
        postgres=not environment.get("DATABASE_URL"), temporal=configured_temporal(environment) is None
    )


def _embedded_temporal(environment: Mapping[str, str]) -> TemporalSettings:
    server = running_temporal(data_dir_from(environment))
    return TemporalSettings(
        address=server.address,
        namespace=environment.get("TEMPORAL_NAMESPACE") or "default",
        web_ui=server.web_ui,
        embedded=True,
    )
