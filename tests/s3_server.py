"""A real server that speaks S3, as a process of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest
from obstore.store import S3Store

SECRET = "a-secret-key-of-the-test"
_START_SECONDS = 60


@contextmanager
def s3_server() -> Iterator[str]:
    """Gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                urlopen(f"{address}/moto-api/").close()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.05)
        yield address
    finally:
        server.kill()
        server.wait()


def empty_bucket(address: str, environment: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket called `papers`; the environment says how to reach it, to this process and those it starts."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
    }.items():
        environment.setenv(name, value)
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    urlopen(Request(f"{address}/papers", method="PUT")).close()
    return S3Store("papers", client_options={"allow_http": True})
