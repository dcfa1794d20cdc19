"""Cuts the connections to a server that has stopped answering without closing them: frozen, or behind a dead network.

The server's own timeouts do not help when the server does not run, and TCP's do not when its kernel still does. Every
thread that waits for such a server would wait for ever, and soon all of them would.
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
"""A probe is a look at a few bytes in memory: a server that has answered none for this long is not coming back soon."""


class Guard:
    """Knows the connections of one engine and since when probes of its server have not been answered."""

    def __init__(self, engine: Engine) -> None:
        self._connections: WeakSet[psycopg.Connection] = WeakSet()
        self._unanswered_since: float | None = None
        event.listen(engine, "connect", lambda connection, _record: self._connections.add(connection))

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Mark a block that connects to the server if need be, and asks something it answers at once."""
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        try:
            yield
        except (PoolTimeoutError, PlacementError):
            self._unanswered_since = None  # busy, or not ours to use: neither says anything against it
            raise
        except DBAPIError as error:
            if sqlstate(error) is not None:
                self._unanswered_since = None  # a refusal is an answer
            raise
        self._unanswered_since = None

    def cut_if_frozen(self) -> bool:
        """Cut all connections if there has been no answer for too long: whoever waits on one gets an error.

        Returns whether it did.
        """
        since = self._unanswered_since
        if since is None or time.monotonic() - since < FROZEN_SECONDS:
            return False
        for connection in list(self._connections):
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
                line.shutdown(socket.SHUT_RDWR)
        return True
