"""gunicorn's worker process for the LMS: it answers plain requests itself and loses no request when it stops."""

from __future__ import annotations

import select
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from lms_app.serving import plain_http

DRAIN_S = 0.5
"""How long a worker that stops goes on accepting connections that wait already."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that, told to stop, accepts the waiting connections and refuses new ones.

    gthread only stops accepting. The kernel goes on completing connections for a listener that is still open, and
    resets them when the last worker ends, after a proxy has sent requests on them. This worker accepts those that are
    waiting and closes its listener at once, so that a new connection is refused, which a proxy takes to another server.
    """

    _told_to_stop = False
    sockets: list[socket.socket]
    alive: bool

    def handle(self, conn: Any) -> Any:
        """Answer a plain request here. gunicorn reads the first request of a connection and all that are not plain."""
        if not conn.initialized or conn.is_http2 or conn.parser.unreader.buf.getvalue():
            return super().handle(conn)
        sock = conn.sock
        sock.setblocking(True)
        try:
            data = sock.recv(plain_http.RECEIVE_BYTES)
            request = plain_http.recognise(data)
            if request is None:
                conn.parser.unreader.unread(data)
                return super().handle(conn) if data else False
            return self._answer(conn, request)
        except OSError:
            return False  # the client is gone

    def _answer(self, conn: Any, request: plain_http.PlainRequest) -> bool:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        keep = self.alive and len(self.keepalived_conns) < self.max_keepalived
        environ = plain_http.environ_of(
            request, client=conn.client, server=conn.server, multiprocess=self.cfg.workers > 1
        )
        try:
            return plain_http.answer(self.wsgi, environ, conn.sock, keep=keep)
        except OSError:
            raise
        except Exception as error:
            self.handle_error(None, conn.sock, conn.client, error)
            return False

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._told_to_stop = True
        super().handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if self._told_to_stop and not enabled:
            self._close_listeners()

    def _close_listeners(self) -> None:
        deadline = time.monotonic() + DRAIN_S  # during a reload other workers still accept, and new connections come
        for listener in self.sockets:
            while time.monotonic() < deadline and select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()
        self.sockets = []
