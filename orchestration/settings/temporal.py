"""The address of Temporal, from environment variables and Temporal's profile file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.envconfig import ClientConfigProfile
from temporalio.service import TLSConfig

from perdure.errors import InvalidConfiguration

CLOUD_SUFFIXES = (".tmprl.cloud", ".temporal.io")
CLOUD_UI = "https://cloud.temporal.io"


@dataclass(frozen=True)
class TemporalSettings:
    """The data that a client needs to connect, and the address of the Web UI."""

    address: str
    namespace: str = "default"
    web_ui: str | None = None
    """URL of the Web UI; None if it is unknown."""
    api_key: str | None = field(default=None, repr=False)
    tls: bool | TLSConfig = field(default=False, repr=False)
    rpc_metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    embedded: bool = False
    """Whether the server is embedded."""


def configured_temporal(environment: Mapping[str, str]) -> TemporalSettings | None:
    """Return the Temporal settings from the environment and the profile.

    Return None if the environment and the profile give no address.

    Raises:
        InvalidConfiguration: the profile or a certificate cannot be read, or the address has another form.
    """
    _check_variables(environment)
    try:
        profile = ClientConfigProfile.load(override_env_vars=dict(environment))
        config = profile.to_client_connect_config()
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        file = environment.get("TEMPORAL_CONFIG_FILE")
        source = f"TEMPORAL_CONFIG_FILE ({file}) and the TEMPORAL_ variables" if file else "The TEMPORAL_ variables"
        raise InvalidConfiguration(f"{source} cannot be used: {_one_line(error)}.") from error
    address = config.get("target_host")
    if not address:
        return None
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()) or "/" in address:
        raise InvalidConfiguration(f"TEMPORAL_ADDRESS must be of the form host:port, not '{address}'.")
    return TemporalSettings(
        address=address,
        namespace=config.get("namespace") or "default",
        web_ui=environment.get("TEMPORAL_UI_ADDRESS") or (CLOUD_UI if host.endswith(CLOUD_SUFFIXES) else None),
        api_key=config.get("api_key"),
        tls=config.get("tls", False),
        rpc_metadata=config.get("rpc_metadata", {}),
    )


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse values that the SDK ignores, or refuses without naming the variable."""
    for name, value in environment.items():
        names_file = name == "TEMPORAL_CONFIG_FILE" or (name.startswith("TEMPORAL_TLS_") and name.endswith("_PATH"))
        if names_file and value and not os.access(value, os.R_OK):
            raise InvalidConfiguration(f"{name} names a file that cannot be read: {value}.")
    if environment.get("TEMPORAL_TLS", "").lower() not in ("", "true", "false", "1", "0"):
        raise InvalidConfiguration(f"TEMPORAL_TLS must be true or false, not '{environment['TEMPORAL_TLS']}'.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
