"""`/metrics` and `/healthz`, on loopback, of processes that are no web server: workers, relay, heartbeat."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from lms_app.observability import metrics

log = logging.getLogger(__name__)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/metrics":
                self._answer(metrics.exposition(), CONTENT_TYPE_LATEST)
            case "/healthz":
                self._answer(b'{"status":"ok"}', "application/json")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        log.debug(format, *args)


def start(port: int | None) -> None:
    """Serve on 127.0.0.1 in a thread; without a port do nothing. Raises OSError when the port is taken."""
    if port is None:
        return
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="side-server", daemon=True).start()
