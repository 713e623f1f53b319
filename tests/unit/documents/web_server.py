"""A real HTTP server that serves the pages of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Page:
    """One answer of the server."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claimed: int | None = None
    """A false Content-Length; -1 for an answer without one, None for the true one."""


@contextmanager
def web_server(pages: dict[str, Page]) -> Iterator[str]:
    """Serve the pages by their paths, and give the server's address.

    A test may change the pages while the server runs.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the page of the path, 404 without one."""
            page = pages.get(self.path, Page(status=404))
            self.send_response(page.status)
            if page.claimed != -1:
                self.send_header("Content-Length", str(len(page.content) if page.claimed is None else page.claimed))
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(page.content)

        do_HEAD = do_GET  # noqa: N815 - the library calls this name

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
