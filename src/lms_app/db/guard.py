"""Cuts the connections to a server that is frozen, or behind a dead network, and so neither answers nor closes them.

The server's own timeouts need a running server, and TCP's do not end while its kernel still answers. A thread that
waits for such a server would wait for ever, and soon every thread of the process would.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lms_app.db.engines import sqlstate
from lms_app.db.unavailable import PlacementError

FROZEN_SECONDS = 3.0
"""A probe reads a few bytes from memory: a server that takes this long for it will not answer soon."""


class Guard:
    """Holds the connections of one engine, and since when its server has not answered a probe."""

    def __init__(self, engine: Engine) -> None:
        self._connections: WeakSet[psycopg.Connection] = WeakSet()
        self._unanswered_since: float | None = None
        event.listen(engine, "connect", lambda connection, _record: self._connections.add(connection))

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Run a block that probes the server: it connects if need be, and asks a question that is answered at once."""
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        try:
            yield
        except (PoolTimeoutError, PlacementError):
            # All connections are in use, or the placement forbids them: the server is not to blame.
            self._unanswered_since = None
            raise
        except DBAPIError as error:
            if sqlstate(error) is not None:
                self._unanswered_since = None  # a refusal is an answer
            raise
        self._unanswered_since = None

    def cut_if_frozen(self) -> bool:
        """Cut all connections if a probe has waited for `FROZEN_SECONDS`: threads that wait on them get an error.

        Returns whether it did.
        """
        since = self._unanswered_since
        if since is None or time.monotonic() - since < FROZEN_SECONDS:
            return False
        for connection in list(self._connections):
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
                line.shutdown(socket.SHUT_RDWR)
        return True
