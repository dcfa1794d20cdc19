"""How gunicorn runs the LMS: its worker, which loses no request when it stops, and the hooks of its configuration."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.workers.gthread import ThreadWorker

from lms_app import plain_http
from lms_app.observability import metrics, slots

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
DRAIN_S = 0.5
_prepared = False


class Worker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that takes the connections that wait for it when it is told to stop, and lets no more come.

    gthread only stops accepting. The kernel goes on completing connections for a listener that is still open, and
    resets them when the last worker ends, after a proxy has sent requests on them. This worker accepts those that are
    waiting and closes its listener at once, so that a new connection is refused, which a proxy takes to another server.
    """

    _told_to_stop = False
    sockets: list[socket.socket]
    alive: bool

    def handle(self, conn: Any) -> Any:
        """Answer a plain request at once. The first on a connection, and all that are not plain, go gunicorn's way."""
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
        deadline = time.monotonic() + DRAIN_S  # others may still be accepting, and new ones coming: a reload
        for listener in self.sockets:
            while time.monotonic() < deadline and select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()
        self.sockets = []


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's logger, whose lines come out as all others of the process; the app itself logs the requests."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Nothing: see `lms_app.observability.requests`."""


def processors() -> int:
    """How many processors this container may use, at least one."""
    available = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = CPU_LIMIT.read_text().split()
        available = min(available, max(1, round(int(quota) / int(period))))
    return available


def prepare() -> None:
    """Empty the metrics folder when the server starts, and not again when it reloads its configuration."""
    global _prepared  # noqa: PLW0603 -- gunicorn runs its configuration file anew at a reload
    if not _prepared:
        metrics.prepare_folder()
        _prepared = True


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest slot that no other worker has, and share the app's memory with it."""
    gc.freeze()  # what is there before the fork is never collected in a worker, nor its pages copied for a look
    worker.slot = slots.lowest_free({other.slot for other in server.WORKERS.values()})


def post_fork(_server: Any, worker: Any) -> None:
    """Let the worker be known by its slot."""
    metrics.enter(f"web{worker.slot}")


def child_exit(_server: Any, worker: Any) -> None:
    """Drop what only a living worker has."""
    metrics.forget_process(f"web{worker.slot}")


def on_exit(_server: Any) -> None:
    """Remove the metrics folder that gunicorn.conf.py made for want of another."""
    folder = Path(os.environ[metrics.FOLDER_VARIABLE])
    if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith("lms-metrics-"):
        shutil.rmtree(folder, ignore_errors=True)
