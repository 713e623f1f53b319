"""The URL of the place for checkpoint objects: `s3://bucket/prefix` or `file:///folder`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from perdure.errors import DependencyUnavailable, InvalidConfiguration
from perdure.stores.durable_folders import make_folder

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

VARIABLE = "PERDURE_CHECKPOINT_URL"
"""The environment variable that holds the URL."""
_REQUEST_SECONDS = 60
_CONNECT_SECONDS = 5
_RETRY_SECONDS = 20
_MAX_RETRIES = 2
"""Most retries of one request. The activity that sends the request is itself retried without a limit."""


def check_url(url: str) -> str:
    """Return the URL if checkpoints can be stored under it, without a slash at its end.

    Raises:
        InvalidConfiguration: the URL has another scheme, or lacks a bucket or a folder.
    """
    try:
        parts = urlsplit(url)
        plain = not (parts.query or parts.fragment or parts.username or parts.password or parts.port)
    except ValueError:
        raise InvalidConfiguration(_SENTENCE) from None
    is_bucket = parts.scheme == "s3" and bool(parts.hostname)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    has_plain_path = not {".", ".."} & set(parts.path.split("/")) and "//" not in parts.path.strip("/")
    if not plain or not (is_bucket or is_folder) or not has_plain_path:
        raise InvalidConfiguration(_SENTENCE)
    return url.rstrip("/") if is_bucket or parts.path.strip("/") else url


# The value is not repeated: a wrong URL may hold credentials.
_SENTENCE = f"{VARIABLE} must have the form s3://bucket/prefix or file:///folder, without credentials or options."


def local_folder(url: str) -> Path | None:
    """Return the folder of a `file` URL; None for a bucket."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def open_store(url: str) -> "S3Store | LocalStore":
    """Return obstore's client for a checked URL; the call sends no request to a bucket.

    Raises:
        DependencyUnavailable: the folder cannot be created.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415  loaded only where the store is used
    from obstore.store import LocalStore, S3Store  # noqa: PLC0415

    folder = local_folder(url)
    if folder is not None:
        try:
            make_folder(folder)
            return LocalStore(str(folder))
        except (BaseError, OSError) as error:
            raise DependencyUnavailable(url, str(error).split("\n", 1)[0]) from error
    parts = urlsplit(url)
    options: Any = {
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "allow_http": True,
    }
    retry: Any = {"max_retries": _MAX_RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
    prefix = unquote(parts.path).strip("/") or None
    return S3Store(parts.netloc, prefix=prefix, client_options=options, retry_config=retry)
